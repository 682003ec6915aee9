# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Titles of a lab sheet's columns: the ones that are read, their other spellings, and the words of other languages that are asked about.

A word of another language is never taken as a title by itself: "Gerät" may be the desk's name or its kind. It is asked about, because a
serial number or a pair that is dropped in silence costs more than a question.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence

COLUMNS: dict[str, str] = {
    "name": "the desk's inventory name, such as desk-01",
    "address": "IP address or host name of the management interface",
    "mac": "MAC address of the management interface, if no address is known",
    "mdns": "mDNS name, such as spark-a1b2.local, if no address is known",
    "port": "ssh port; 22 if empty",
    "user": "login user, if it differs from the lab's",
    "pair": "name of the pair; empty for a desk that stands alone",
    "stack": "name of the ring or of the stack on a switch, instead of pair",
    "topology": "direct, ring or switch: how the desks of the stack are joined",
    "position": "head, peer, 1 or 2 within the pair; empty for natural name order",
    "serial": "serial number on the chassis",
    "asset_tag": "the lab's own tag",
    "host_key": "fingerprint of the ssh host key, SHA256:...",
    "out_of_service": "yes or no",
}
"""Column to its meaning."""

ALIASES: dict[str, str] = {
    "desk": "name",
    "host": "name",
    "hostname": "name",
    "ip": "address",
    "ip_address": "address",
    "ansible_host": "address",
    "mac_address": "mac",
    "mdns_name": "mdns",
    "ssh_port": "port",
    "login": "user",
    "ansible_user": "user",
    "role": "position",
    "serial_number": "serial",
    "sn": "serial",
    "asset": "asset_tag",
    "tag": "asset_tag",
    "fingerprint": "host_key",
    "host_key_fingerprint": "host_key",
    "ssh_host_key": "host_key",
}
"""Other spellings of column titles."""

NEAR = tuple(word for word in (*COLUMNS, *ALIASES) if word != "stack")
"""Titles of which another title may be a slip; "stack" is too near to words that are none (stock, track)."""

OWN = "x_"
"""Titles that begin so are the admin's own, whatever they look like."""

_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "ð": "d", "þ": "th"})


def plain(text: str) -> str:
    """A title in one spelling: lower case, without accents, words joined by underscores. Letters of other scripts stay."""
    folded = unicodedata.normalize("NFKD", text.strip().casefold().translate(_LETTERS))
    letters = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", "_", letters).strip("_")


def title(text: str) -> str:
    """The column that a title means in English, else the title in one spelling; empty for an empty cell."""
    short = plain(text)
    return ALIASES.get(short, short)


FOREIGN: dict[str, str] = {
    "name": """
        Rechner, Rechnername, Gerät, Gerätename, Hostname, Knoten, Bezeichnung, Nom, Nom d'hôte, Machine, Poste,
        Nombre, Equipo, Máquina, Nome, Nome host, Computador, Macchina, Naam, Apparaat, Nazwa, Komputer, Název,
        Zařízení, Počítač, Namn, Navn, Dator, Nimi, Laite, Ad, Cihaz, Bilgisayar, Имя, Имя хоста, Узел, Название,
        名称, 主机名, 设备, 设备名称, 主機名稱, ホスト名, 機器名, 名前, 端末名, 이름, 호스트명, 장비명, Nama, Nama perangkat,
        Nama host, Tên, Tên máy, ชื่อ, ชื่อเครื่อง, नाम, نام""",
    "address": """
        Adresse, IP-Adresse, Adresse IP, Dirección, Dirección IP, Indirizzo, Indirizzo IP, Endereço, Endereço IP,
        Adres, IP-adres, Adres IP, IP adresa, Adresa, Adress, IP-adress, IP-osoite, Osoite, IP adresi, IP-адрес,
        Адрес, IP地址, 地址, IP位址, IPアドレス, アドレス, IP 주소, 주소, Alamat, Alamat IP, Địa chỉ IP, ที่อยู่ IP, आईपी पता,
        آدرس""",
    "mac": """
        MAC-Adresse, Adresse MAC, Dirección MAC, Indirizzo MAC, Endereço MAC, MAC-adres, Adres MAC, MAC adresa,
        MAC-adress, MAC-osoite, MAC adresi, MAC-адрес, MAC地址, MAC位址, MACアドレス, MAC 주소, Hardwareadresse,
        Ethernet""",
    "port": """
        SSH-Port, Puerto, Porta, Poort, Porta SSH, Puerto SSH, Порт, 端口, ポート, 포트""",
    "user": """
        Benutzer, Benutzername, Anmeldename, Utilisateur, Identifiant, Usuario, Utente, Usuário, Utilizador,
        Gebruiker, Gebruikersnaam, Użytkownik, Uživatel, Användare, Bruker, Bruger, Käyttäjä, Kullanıcı,
        Пользователь, Логин, 用户, 用户名, 使用者, ユーザー, ユーザー名, 사용자""",
    "pair": """
        Paar, Gespann, Partner, Paire, Binôme, Par, Pareja, Coppia, Dupla, Koppel, Para, Pár, Dvojice, Pari, Çift,
        Pärchen, Zwilling, Jumeau, Gemelo, Gemello, Duo, Tandem, Twin, Peer, Buddy, Pairing, Пары, ペア名, 组名,
        Eş, Pereche, Parell, Cặp, Pasangan, Gandingan, Pora, คู่, जोड़ी, جفت,
        Ζεύγος, Ζευγάρι, Пара, Двойка, זוג, زوج, 对, 配对, 组, 組, 配對, ペア, 쌍, 짝, Pair name,
        Pair no, Pair number, Pair ID""",
    "stack": """
        Verbund, Stapel, Stack name, Stack no, Stack number, Stack ID, 堆叠, スタック, 스택""",
    "topology": """
        Topologie, Topología, Topologia, Topologi, Topoloji, Topologie réseau, Топология, 拓扑, トポロジー, 토폴로지""",
    "position": """
        Rolle, Stellung, Rôle, Rol, Ruolo, Papel, Função, Posición, Posizione, Posição, Positie, Rola, Pozycja,
        Pozice, Roll, Rooli, Konum, Роль, Позиция, 角色, 位置, 役割, 역할, 위치""",
    "serial": """
        Seriennummer, Serien-Nr, Serien-Nr., SerienNr, Ser.-Nr., Numéro de série, N° de série, No de série,
        Número de serie, N.º de serie, Nro de serie, Numero di serie, Numero seriale, Matricola, Número de série,
        Nº de série, Serienummer, Numer seryjny, Nr seryjny, Sériové číslo, Výrobní číslo, Sarjanumero,
        Seri numarası, Seri no, Sorozatszám, Gyári szám, Număr de serie, Nr. de serie, Número de sèrie, Serijski broj,
        Serijska številka, Số sê-ri, Số seri, Σειριακός αριθμός, Αριθμός σειράς, Серійний номер, Сериен номер,
        מספר סידורי, الرقم التسلسلي, رقم تسلسلي, Серийный номер, Серийный №, Заводской номер, 序列号, 序號, 序列號, 产品序列号,
        シリアル番号, シリアル, 製造番号, 시리얼 번호, 일련번호, Serial no, Serial no., Serial #, Chassis serial, N/S,
        Service Tag, Servicetag, Nomor seri, Nombor siri, No. siri, หมายเลขซีเรียล, หมายเลขเครื่อง, क्रम संख्या, क्रमांक,
        شماره سریال""",
    "asset_tag": """
        Inventarnummer, Inventar-Nr., Inventarnr, Anlagennummer, Numéro d'inventaire, Número de inventario,
        Numero di inventario, Número de patrimônio, Inventarisnummer, Numer inwentarzowy, Inventární číslo,
        Inventarienummer, Inventaarionumero, Demirbaş no, Инвентарный номер, 资产编号, 資產編號, 資産番号, 자산 번호""",
    "host_key": """
        Fingerabdruck, Host-Schlüssel, Hostschlüssel, Empreinte, Clé d'hôte, Huella, Clave de host, Impronta,
        Impressão digital, Vingerafdruk, Odcisk klucza, Otisk klíče, Отпечаток, Ключ хоста, 指纹, 指紋,
        フィンガープリント, ホスト鍵, 지문""",
    "out_of_service": """
        Außer Betrieb, Ausser Betrieb, Defekt, Hors service, En panne, Fuera de servicio, Averiado, Fuori servizio,
        Guasto, Fora de serviço, Buiten dienst, Buiten gebruik, Niesprawny, Mimo provoz, Ur drift, Ute av drift,
        Epäkunnossa, Hizmet dışı, Не работает, 停用, 故障, 使用不可, 고장""",
}
"""Column to titles of other languages, separated by commas."""

_MEANT = {plain(word): column for column, words in FOREIGN.items() for word in words.split(",")}
_JOINED = {word.replace("_", ""): column for word, column in _MEANT.items()}
"""The same without blanks, which some languages set as they like."""

_DEAR = ("serial", "pair")
"""Columns whose loss costs most: they are also known with words behind them, such as "Seriennummer (Gehäuse)" or "Pair no. 2026"."""


def _by_title(short: str) -> str | None:
    """The known column of a title in another language, null for none."""
    column = _MEANT.get(short) or _JOINED.get(short.replace("_", ""))
    if column is not None:
        return column
    dear = {
        **{word: column for word, column in _MEANT.items() if column in _DEAR and len(word) > 3},
        "serial_number": "serial",
        "sn": "serial",
    }
    return next((column for word, column in dear.items() if short.startswith(word + "_")), None)


def _tell(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_SERIAL_STEM = re.compile(
    r"(?:^|_)(?:seri(?!es(?:_|$))|siri(?:_|$)|sarja|sorozat|matric|σειρα|серии|серіи|зав(?:одско)?|s_?n$)|seriennu|serienn|序列|序號|序号|シリアル|製造番|시리얼|일련"
)
"""How words for a serial number begin in many languages, as ``plain`` writes them; the rest of the title is written in many ways."""
_SERIAL_CELL = re.compile(r"(?=(?:[^0-9]*[0-9]){4})[A-Za-z0-9][A-Za-z0-9./_-]{5,63}")


def _serials(short: str, cells: Sequence[str]) -> bool:
    """Whether a column is one of serial numbers by a part of its title and by its cells, which a model's series is not."""
    found = _SERIAL_STEM.search(short) is not None
    return found and bool(cells) and len(set(cells)) == len(cells) and all(_SERIAL_CELL.fullmatch(cell) for cell in cells)


def _others_named(cells: Sequence[str], names: Sequence[str]) -> bool:
    """Whether every cell that is not empty names another desk of the sheet than its own row does."""
    desks = {name.casefold() for name in names}
    rows = zip((cell.casefold() for cell in cells), (name.casefold() for name in names), strict=False)
    return all(not cell or (cell in desks and cell != own) for cell, own in rows) and bool(names)


_CONTENT: dict[str, re.Pattern[str]] = {
    "mac": _tell(r"[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}|[0-9a-f]{4}(?:[.:-][0-9a-f]{4}){2}"),
    "host_key": _tell(r"SHA256:[A-Za-z0-9+/]{43}=?"),
    "address": _tell(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?:/[0-9]{1,2})?"),
    "mdns": _tell(r"[a-z0-9-]{1,63}\.local\.?"),
    "position": _tell(r"head|peer"),
}
"""What cells of a column look like that is hardly anything else, whatever its title is."""


def meant(text: str, cells: Sequence[str], titles: Sequence[str], names: Sequence[str] = ()) -> str | None:
    """The known column that an unknown one may be: by its title in another language, else by its cells, each of which may name another
    desk than that of its row (``names``). Null when it is the admin's own, or when the sheet has such a column already (``titles``)."""
    short = plain(text)
    if short.startswith(OWN):
        return None
    column = _by_title(short)
    if column is not None:
        return column if column not in titles else None
    told = [cell for cell in cells if cell]
    if _serials(short, told):
        return "serial" if "serial" not in titles else None
    if told and not {"pair", "stack"} & set(titles) and _others_named(cells, names):
        return "pair"
    found = (column for column, pattern in _CONTENT.items() if told and all(pattern.fullmatch(cell) for cell in told))
    return next((column for column in found if column not in titles), None)


def pairs_by_cells(text: str, cells: Sequence[str], titles: Sequence[str]) -> bool:
    """Whether a column may name the pairs, in whatever language, of a sheet that has none: each of its values stands at two desks. One
    value alone says so where the title begins with the word."""
    counts = Counter(cell for cell in cells if cell)
    if {"pair", "stack"} & set(titles) or plain(text).startswith(OWN) or set(counts.values()) != {2}:
        return False
    return len(counts) > 1 or plain(text).partition("_")[0] in ("pair", "stack")


def header(rows: Mapping[int, Sequence[str]]) -> int | None:
    """The row that holds the titles, by its number: the first one that has a name and one more known column, else the first one that has
    most of the titles that are known in any language, if there are two of them."""
    for number, cells in rows.items():
        known = {title(cell) for cell in cells} & set(COLUMNS)
        if "name" in known and len(known) > 1:
            return number
    counts = {number: sum(title(cell) in COLUMNS or _by_title(plain(cell)) is not None for cell in cells) for number, cells in rows.items()}
    most = max(counts, key=lambda number: counts[number], default=None)
    return most if most is not None and counts[most] > 1 else None
