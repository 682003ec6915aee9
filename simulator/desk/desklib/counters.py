"""Traffic counters of the RDMA devices: payload octets in, the counters of the machine out.

Ports count data in words of four octets (InfiniBand architecture, PortCounters); physical counters of the driver
count octets on the wire, headers included.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

# Ethernet, IPv4, UDP, BTH, RETH (first packet only, ignored) and ICRC around each RoCE v2 packet.
HEADER_OCTETS = 14 + 20 + 8 + 12 + 4
WIRE_EXTRA_OCTETS = 4  # frame check sequence, seen by the physical counters only


@dataclass
class Traffic:
    """Payload of one RDMA device since boot."""

    tx_bytes: int = 0
    rx_bytes: int = 0
    tx_packets: int = 0
    rx_packets: int = 0

    def add(self, tx_bytes: int, rx_bytes: int, mtu: int) -> None:
        self.tx_bytes += tx_bytes
        self.rx_bytes += rx_bytes
        self.tx_packets += -(-tx_bytes // mtu)
        self.rx_packets += -(-rx_bytes // mtu)

    @property
    def tx_framed(self) -> int:
        return self.tx_bytes + self.tx_packets * HEADER_OCTETS

    @property
    def rx_framed(self) -> int:
        return self.rx_bytes + self.rx_packets * HEADER_OCTETS

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


def port_counters(traffic: Traffic, link_downed: int = 0) -> dict[str, int]:
    """Files below ports/1/counters."""
    return {
        "port_xmit_data": traffic.tx_framed // 4,
        "port_rcv_data": traffic.rx_framed // 4,
        "port_xmit_packets": traffic.tx_packets,
        "port_rcv_packets": traffic.rx_packets,
        "unicast_xmit_packets": traffic.tx_packets,
        "unicast_rcv_packets": traffic.rx_packets,
        "multicast_xmit_packets": 0,
        "multicast_rcv_packets": 0,
        "port_xmit_wait": 0,
        "port_xmit_discards": 0,
        "port_rcv_errors": 0,
        "port_rcv_remote_physical_errors": 0,
        "port_rcv_switch_relay_errors": 0,
        "port_rcv_constraint_errors": 0,
        "port_xmit_constraint_errors": 0,
        "symbol_error": 0,
        "link_error_recovery": 0,
        "link_downed": link_downed,
        "local_link_integrity_errors": 0,
        "excessive_buffer_overrun_errors": 0,
        "VL15_dropped": 0,
    }


def hw_counters(traffic: Traffic) -> dict[str, int]:
    """Files below ports/1/hw_counters."""
    zero = (
        "duplicate_request implied_nak_seq_err local_ack_timeout_err out_of_buffer out_of_sequence packet_seq_err "
        "req_cqe_error req_cqe_flush_error req_remote_access_errors req_remote_invalid_request resp_cqe_error "
        "resp_cqe_flush_error resp_local_length_error resp_remote_access_errors rnr_nak_retry_err "
        "roce_adp_retrans roce_adp_retrans_to roce_slow_restart roce_slow_restart_cnps roce_slow_restart_trans "
        "rp_cnp_handled rp_cnp_ignored np_cnp_sent np_ecn_marked_roce_packets rx_icrc_encapsulated rx_atomic_requests "
        "rx_dct_connect rx_read_requests"
    )
    counters = dict.fromkeys(zero.split(), 0)
    counters["rx_write_requests"] = traffic.rx_packets
    counters["lifespan"] = 10
    return dict(sorted(counters.items()))


def ethtool_counters(traffic: Traffic, net_rx_bytes: int, net_tx_bytes: int, net_rx_packets: int, net_tx_packets: int) -> dict[str, int]:
    """The counters of ``ethtool -S`` that matter, in the driver's order."""
    rdma_wire_tx = traffic.tx_framed + traffic.tx_packets * WIRE_EXTRA_OCTETS
    rdma_wire_rx = traffic.rx_framed + traffic.rx_packets * WIRE_EXTRA_OCTETS
    return {
        "rx_packets": net_rx_packets,
        "rx_bytes": net_rx_bytes,
        "tx_packets": net_tx_packets,
        "tx_bytes": net_tx_bytes,
        "rx_out_of_buffer": 0,
        "rx_vport_unicast_packets": net_rx_packets,
        "rx_vport_unicast_bytes": net_rx_bytes,
        "tx_vport_unicast_packets": net_tx_packets,
        "tx_vport_unicast_bytes": net_tx_bytes,
        "rx_vport_rdma_unicast_packets": traffic.rx_packets,
        "rx_vport_rdma_unicast_bytes": traffic.rx_framed,
        "tx_vport_rdma_unicast_packets": traffic.tx_packets,
        "tx_vport_rdma_unicast_bytes": traffic.tx_framed,
        "tx_packets_phy": net_tx_packets + traffic.tx_packets,
        "rx_packets_phy": net_rx_packets + traffic.rx_packets,
        "rx_crc_errors_phy": 0,
        "tx_bytes_phy": net_tx_bytes + net_tx_packets * WIRE_EXTRA_OCTETS + rdma_wire_tx,
        "rx_bytes_phy": net_rx_bytes + net_rx_packets * WIRE_EXTRA_OCTETS + rdma_wire_rx,
        "rx_discards_phy": 0,
        "tx_discards_phy": 0,
        "tx_errors_phy": 0,
        "rx_symbol_err_phy": 0,
        "rx_pcs_symbol_err_phy": 0,
        "rx_corrected_bits_phy": 0,
        "tx_prio0_bytes": net_tx_bytes + rdma_wire_tx,
        "rx_prio0_bytes": net_rx_bytes + rdma_wire_rx,
        "link_down_events_phy": 0,
        "module_unplug": 0,
    }
