/* all_gather_perf and all_reduce_perf of a simulated desk.
 *
 * The ranks meet through MPI as the real programs do. What they do with the fabric is done by the desk's helper
 * (/opt/desk/standins/nccl-fabric), one per rank, spoken to in lines: it says which RDMA devices NCCL would use here,
 * puts frames on the wire of exactly those and moves their counters. The figures in the table come from the desk's model.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nccl.h"
#ifdef MPI_SUPPORT
#include <mpi.h>
#endif

#ifdef ALL_REDUCE
#define NAME "all_reduce_perf"
#define REDOP "sum"
#else
#define NAME "all_gather_perf"
#define REDOP "none"
#endif

#ifndef HELPER
#define HELPER "/opt/desk/standins/nccl-fabric"
#endif
#define MAX_DEVICES 8
#define MAX_SIZES 40
#define MAX_RANKS 16

typedef struct {
    char name[32], netdev[32], pci[16], ip[48], mac[20], token[36], gidtext[64];
    int uverbs, mtu, gid, speed;
} device_t;

typedef struct {
    char host[64], oob[32], oob_ip[48], failure[256], fault[32];
    int pid, socket, ndevices, payload, failed;
    long fault_value;
    double factor;
    device_t device[MAX_DEVICES];
    double busbw[MAX_SIZES];
} rank_t;

static struct {
    unsigned long long min, max, factor, step;
    int iters, warmup, check, gpus, threads;
} options = {33554432ULL, 33554432ULL, 0, 1048576ULL, 20, 1, 1, 1, 1};

static int rank, ranks = 1, world = 1, debug; /* debug: 0 none, 1 version, 2 warn, 3 info */
static rank_t *all;
static FILE *ask, *answer;
static pid_t helper;

static void say(int level, const char *form, ...)
{
    va_list list;
    if (debug < level)
        return;
    printf("%s:%d:%d [0] NCCL %s ", all[rank].host, all[rank].pid, all[rank].pid, level == 2 ? "WARN" : "INFO");
    va_start(list, form);
    vprintf(form, list);
    va_end(list);
    putchar('\n');
    fflush(stdout);
}
#define INFO(...) say(3, __VA_ARGS__)
#define WARN(...) say(2, __VA_ARGS__)

static void barrier(void)
{
#ifdef MPI_SUPPORT
    if (world > 1)
        MPI_Barrier(MPI_COMM_WORLD);
#endif
}

static void share(void)
{
#ifdef MPI_SUPPORT
    if (world > 1) {
        rank_t mine = all[rank];
        MPI_Allgather(&mine, (int)sizeof mine, MPI_BYTE, all, (int)sizeof mine, MPI_BYTE, MPI_COMM_WORLD);
    }
#endif
}

static void finish(int code)
{
    fflush(stdout);
    if (ask)
        fclose(ask);
    if (helper > 0)
        waitpid(helper, NULL, 0);
#ifdef MPI_SUPPORT
    if (world > 1) {
        if (code)
            exit(code); /* mpirun sees a rank that left without MPI_Finalize and ends the others */
        MPI_Finalize();
    } else if (ranks != world || getenv("OMPI_COMM_WORLD_SIZE")) {
        int up = 0;
        MPI_Initialized(&up);
        if (up && !code)
            MPI_Finalize();
    }
#endif
    exit(code);
}

static unsigned long long size_of(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    switch (*end) {
    case 'G': case 'g': value *= 1073741824.0; break;
    case 'M': case 'm': value *= 1048576.0; break;
    case 'K': case 'k': value *= 1024.0; break;
    default: break;
    }
    return (unsigned long long)value;
}

static void parse(int argc, char **argv)
{
    static const char *names[][2] = {
        {"--minbytes", "b"}, {"--maxbytes", "e"}, {"--stepfactor", "f"}, {"--stepbytes", "i"}, {"--iters", "n"},
        {"--warmup_iters", "w"}, {"--check", "c"}, {"--ngpus", "g"}, {"--nthreads", "t"}};
    for (int i = 1; i < argc; i++) {
        char letter = 0;
        if (argv[i][0] == '-' && argv[i][1] && argv[i][1] != '-' && !argv[i][2])
            letter = argv[i][1];
        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            if (!strcmp(argv[i], names[n][0]))
                letter = names[n][1][0];
        if (!letter || (i + 1 >= argc && letter != 'h')) {
            printf("USAGE: " NAME " \n\t[-t,--nthreads <num threads>] \n\t[-g,--ngpus <gpus per thread>] \n"
                   "\t[-b,--minbytes <min size in bytes>] \n\t[-e,--maxbytes <max size in bytes>] \n");
            exit(1);
        }
        const char *value = argv[++i];
        switch (letter) {
        case 'b': options.min = size_of(value); break;
        case 'e': options.max = size_of(value); break;
        case 'f': options.factor = strtoull(value, NULL, 0); break;
        case 'i': options.step = size_of(value); break;
        case 'n': options.iters = atoi(value); break;
        case 'w': options.warmup = atoi(value); break;
        case 'c': options.check = atoi(value); break;
        case 'g': options.gpus = atoi(value); break;
        case 't': options.threads = atoi(value); break;
        default: break; /* the other options of the real program change nothing here */
        }
    }
    if (options.max < options.min)
        options.max = options.min;
}

static int sizes(unsigned long long *list)
{
    int count = 0;
    for (unsigned long long size = options.min; size <= options.max && count < MAX_SIZES; ) {
        list[count++] = size;
        size = options.factor > 1 ? size * options.factor : size + options.step;
    }
    return count;
}

static void start_helper(void)
{
    int there[2], back[2];
    if (pipe2(there, O_CLOEXEC) || pipe2(back, O_CLOEXEC))
        return;
    helper = fork();
    if (helper == 0) {
        dup2(there[0], 0);
        dup2(back[1], 1);
        execl(HELPER, "nccl-fabric", (char *)NULL);
        _exit(127);
    }
    close(there[0]);
    close(back[1]);
    ask = fdopen(there[1], "w");
    answer = fdopen(back[0], "r");
    signal(SIGPIPE, SIG_IGN);
}

/* Read the helper's lines until "end". Each begins with a word that says what it is. */
static void read_plan(rank_t *me)
{
    char line[1024], kind[32];
    int size = 0;
    while (answer && fgets(line, sizeof line, answer)) {
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "%31s", kind) != 1 || !strcmp(kind, "end"))
            return;
        if (!strcmp(kind, "hca") && me->ndevices < MAX_DEVICES) {
            device_t *d = &me->device[me->ndevices];
            if (sscanf(line, "hca %d %31s %31s %15s %d %d %d %47s %19s %35s %63s", &d->uverbs, d->name, d->netdev, d->pci, &d->speed,
                       &d->mtu, &d->gid, d->ip, d->mac, d->token, d->gidtext) == 11)
                me->ndevices++;
        } else if (!strcmp(kind, "oob")) {
            sscanf(line, "oob %31s %47s", me->oob, me->oob_ip);
        } else if (!strcmp(kind, "net")) {
            me->socket = strstr(line, "Socket") != NULL;
        } else if (!strcmp(kind, "payload")) {
            me->payload = atoi(line + 8);
        } else if (!strcmp(kind, "fault")) {
            sscanf(line, "fault %31s %ld", me->fault, &me->fault_value);
        } else if (!strcmp(kind, "failure")) {
            snprintf(me->failure, sizeof me->failure, "%.250s", line + 8);
        } else if (!strcmp(kind, "busbw") && size < MAX_SIZES) {
            me->busbw[size++] = atof(line + 6);
        } else if (!strcmp(kind, "info")) {
            INFO("%s", line + 5);
        }
    }
    if (answer && !me->failure[0] && feof(answer))
        snprintf(me->failure, sizeof me->failure, "cuda the desk's fabric helper does not answer");
}

static void fail_cuda(const char *what)
{
    printf("%s: Test CUDA failure common.cu:1028 '%s'\n .. %s pid %d: Test failure common.cu:897\n", all[rank].host, what,
           all[rank].host, all[rank].pid);
    finish(1);
}

static void fail_nccl(ncclResult_t result, int line)
{
    printf("%s: Test NCCL failure common.cu:%d '%s / '\n .. %s pid %d: Test failure common.cu:%d\n", all[rank].host, line,
           ncclGetErrorString(result), all[rank].host, all[rank].pid, line + 30);
    finish(3);
}

static void headers(int nversion)
{
    if (rank)
        return;
    printf("# nccl-tests version 2.18.3 nccl-headers=%d nccl-library=%d\n# Collective test starting: " NAME "\n", NCCL_VERSION_CODE,
           nversion);
    printf("# nThread %d nGpus %d minBytes %llu maxBytes %llu step: %llu(%s) warmup iters: %d iters: %d agg iters: 1 validation: %d "
           "graph: 0 unalign: 0\n#\n# Using devices\n", options.threads, options.gpus, options.min, options.max,
           options.factor > 1 ? options.factor : options.step, options.factor > 1 ? "factor" : "bytes", options.warmup, options.iters,
           options.check);
    for (int r = 0; r < ranks; r++)
        printf("#  Rank %2d Group  0 Pid %6d on %10s device  0 [000f:01:00] NVIDIA GB10\n", r, all[r].pid, all[r].host);
    fflush(stdout);
}

static void table_head(void)
{
    if (rank)
        return;
    printf("#\n#                                                              out-of-place                       in-place          \n"
           "#       size         count      type   redop    root     time   algbw   busbw  #wrong     time   algbw   busbw  #wrong \n"
           "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)             (us)  (GB/s)  (GB/s)         \n");
    fflush(stdout);
}

/* Whether NCCL looks for a device of the peer in the same network (2.30 and newer), else it takes them in their order. */
static int subnet_aware(void)
{
    const char *wish = getenv("NCCL_IB_SUBNET_AWARE_ROUTING");
    return wish && !strcmp(wish, "1");
}

static void init_lines(int nversion)
{
    rank_t *me = &all[rank];
    if (debug == 1 && rank == 0)
        printf("NCCL version %d.%d.%d+cuda13.0\n", nversion / 10000, nversion / 100 % 100, nversion % 100);
    if (debug < 3)
        return;
    const char *name = getenv("NCCL_SOCKET_IFNAME"), *hca = getenv("NCCL_IB_HCA"), *plugin = getenv("NCCL_NET_PLUGIN");
    INFO("ENV/Plugin: Could not find: libnccl-env.so");
    if (name)
        INFO("NCCL_SOCKET_IFNAME set to %s", name);
    INFO("cudaDriverVersion 13000");
    INFO("NCCL version %d.%d.%d+cuda13.0", nversion / 10000, nversion / 100 % 100, nversion % 100);
    if (plugin && !strcmp(plugin, "none"))
        INFO("NCCL_NET_PLUGIN set by environment to none.");
    else
        INFO("NET/Plugin: Could not find: libnccl-net.so");
    if (hca)
        INFO("NCCL_IB_HCA set to %s", hca);
    if (subnet_aware())
        INFO("NCCL_IB_SUBNET_AWARE_ROUTING set by environment to 1.");
    if (me->socket) {
        INFO("NET/IB : No device found.");
        INFO("NET/Socket : Using [0]%s:%s<0>", me->oob, me->oob_ip);
        INFO("Initialized NET plugin Socket");
        INFO("Assigned NET plugin Socket to comm");
        INFO("Using network Socket");
        return;
    }
    char list[MAX_DEVICES * 64] = "";
    for (int i = 0; i < me->ndevices; i++) {
        device_t *d = &me->device[i];
        char root[16] = "", one[64];
        snprintf(root, sizeof root, "%.7s:00.0", d->pci);
        root[5] = root[6] = '0';
        INFO("NET/IB: [%d] %s:uverbs%d:1/RoCE provider=Mlx5 speed=%d context=0x%lx pciPath=/sys/devices/pci%.4s:00/%s/%.10s.0 ar=0",
             d->uverbs, d->name, d->uverbs, d->speed, (unsigned long)me, d->pci, root, d->pci);
        INFO("NET/IB : Made virtual device [%d] name=%s speed=%d ndevs=1", i, d->name, d->speed);
        snprintf(one, sizeof one, " [%d]%s:1/RoCE", i, d->name);
        strcat(list, one);
    }
    INFO("NET/IB : Using%s [RO]; OOB %s:%s<0>", list, me->oob, me->oob_ip);
    INFO("Initialized NET plugin IB");
    INFO("Assigned NET plugin IB to comm");
    INFO("Using network IB");
    INFO("ncclCommInitRankConfig comm 0x%lx rank %d nranks %d cudaDev 0 nvmlDev 0 busId f01000 commId 0x%lx - Init START",
         (unsigned long)me, rank, ranks, (unsigned long)all[0].pid * 2654435761UL);
    for (int i = 0; i < me->ndevices; i++)
        INFO("NET/IB : GPU Direct RDMA Disabled for HCA %d '%s'", i, me->device[i].name);
    if (rank == 0) {
        char order[MAX_RANKS * 4] = "";
        for (int r = 0; r < ranks; r++)
            snprintf(order + strlen(order), sizeof order - strlen(order), " %d", r);
        INFO("Channel 00/16 :%s", order);
    }
    INFO("ncclCommInitRankConfig comm 0x%lx rank %d nranks %d cudaDev 0 nvmlDev 0 busId f01000 commId 0x%lx - Init COMPLETE",
         (unsigned long)me, rank, ranks, (unsigned long)all[0].pid * 2654435761UL);
}

/* The device of another rank that device i of this one speaks to, -1 for none. Networks of 24 bits are told apart. */
static int partner(int i, const rank_t *other)
{
    const char *mine = all[rank].device[i].ip, *dot = strrchr(mine, '.');
    if (!subnet_aware() || !dot)
        return i < other->ndevices ? i : -1;
    for (int j = 0; j < other->ndevices; j++)
        if (!strncmp(mine, other->device[j].ip, (size_t)(dot - mine) + 1) && strrchr(other->device[j].ip, '.'))
            return j;
    return -1;
}

static rank_t *beside(int step)
{
    return &all[(rank + ranks + step) % ranks];
}

/* How many of this rank's devices reach another rank. */
static int reached(const rank_t *other)
{
    int count = 0;
    for (int i = 0; i < all[rank].ndevices; i++)
        count += partner(i, other) >= 0;
    return count;
}

/* Whether a device is in use: it reaches the rank after this one or the one before it. */
static int in_use(int i)
{
    return partner(i, beside(1)) >= 0 || partner(i, beside(-1)) >= 0;
}

typedef struct {
    int mine, theirs;
    rank_t *other;
} link_t;
static link_t links[2 * MAX_DEVICES];
static int nlinks;

static void add_link(int mine, int theirs, rank_t *other, const char *token, const char *peer_token)
{
    rank_t *me = &all[rank];
    const device_t *d = &me->device[mine], *e = &other->device[theirs];
    links[nlinks++] = (link_t){mine, theirs, other};
    fprintf(ask, "link %s %s %s %s %s %d\n", d->name, token, peer_token, e->ip, e->mac,
            me->payload < other->payload ? me->payload : other->payload);
}

/* Bytes cross the fabric: frames through the helper for RDMA, MPI's own way for sockets. Returns the failed link, -1 for none, or -2 when
 * no device reaches the next rank. */
static int cross(void)
{
    rank_t *me = &all[rank], *next = beside(1), *before = beside(-1);
    int failed = -1;
    if (ranks < 2)
        return -1;
    if (me->socket || next->socket || !me->ndevices || !next->ndevices) {
#ifdef MPI_SUPPORT
        int length = 2 << 20;
        char *out = calloc(1, (size_t)length), *in = calloc(1, (size_t)length);
        MPI_Sendrecv(out, length, MPI_BYTE, (rank + 1) % ranks, 7, in, length, MPI_BYTE, (rank + ranks - 1) % ranks, 7, MPI_COMM_WORLD,
                     MPI_STATUS_IGNORE);
        free(out);
        free(in);
#endif
        return -1;
    }
    if (!reached(next))
        return -2;
    for (int i = 0; i < me->ndevices; i++) {
        int there = partner(i, next), back = partner(i, before);
        if (ranks == 2) {
            if (there >= 0)
                add_link(i, there, next, me->device[i].token, next->device[there].token);
            continue;
        }
        /* A ring of ranks: to the next one, and from the one before. */
        if (there >= 0)
            add_link(i, there, next, me->device[i].token, "-");
        if (back >= 0)
            add_link(i, back, before, "-", before->device[back].token);
    }
    fputs("listen\n", ask);
    fflush(ask);
    char line[256];
    while (fgets(line, sizeof line, answer) && strncmp(line, "ready", 5)) {
    }
    barrier();
    fputs("go\n", ask);
    fflush(ask);
    while (fgets(line, sizeof line, answer) && strncmp(line, "end", 3)) {
        long got;
        int index;
        if (sscanf(line, "got %d %ld", &index, &got) == 2 && got == 0 && failed < 0 && index < nlinks)
            failed = index;
    }
    return failed;
}

static void connection_lines(void)
{
    rank_t *me = &all[rank], *next = beside(1);
    const char *via = me->socket ? "NET/Socket" : "NET/IB";
    if (debug < 3 || ranks < 2)
        return;
    int from = (rank + ranks - 1) % ranks, to = (rank + 1) % ranks, channels = me->socket ? 1 : reached(next);
    for (int i = 0; i < channels; i++)
        INFO("Channel %02d/0 : %d[0] -> %d[0] [receive] via %s/%d", i, from, rank, via, i);
    for (int i = 0; i < channels; i++)
        INFO("Channel %02d/0 : %d[0] -> %d[0] [send] via %s/%d", i, rank, to, via, i);
    for (int i = 0; !me->socket && i < me->ndevices; i++) {
        int there = partner(i, next);
        if (there >= 0)
            INFO("NET/IB: NCCL Dev %d IbDev %d Port 1 qpn %d mtu %d GID %d (%s) fifoRkey=0x%x fifoLkey=0x%x", i, i, 576 + 128 * i,
                 me->device[i].mtu < next->device[there].mtu ? me->device[i].mtu : next->device[there].mtu, me->device[i].gid,
                 me->device[i].gidtext, 0x1b9e9c + i, 0x1b9e9c + i);
    }
    INFO("Connected all rings, use ring PXN 0 GDR 0");
}

static void time_text(char *text, size_t room, double us)
{
    if (us >= 99999.95)
        snprintf(text, room, "%7.0f", us);
    else if (us >= 9999.995)
        snprintf(text, room, "%7.1f", us);
    else
        snprintf(text, room, "%7.2f", us);
}

static double half_row(char *text, size_t room, unsigned long long size, double busbw, long wrong)
{
    char when[32], bad[32] = "N/A";
#ifdef ALL_REDUCE
    double share = ranks > 1 ? 2.0 * (ranks - 1) / ranks : 0;
#else
    double share = ranks > 1 ? (double)(ranks - 1) / ranks : 0;
#endif
    double algbw = share > 0 ? busbw / share : 110.0;
    time_text(when, sizeof when, (double)size / algbw / 1e3);
    if (options.check)
        snprintf(bad, sizeof bad, "%ld", wrong);
    snprintf(text, room, "  %7s  %6.2f  %6.2f  %6s", when, algbw, share > 0 ? busbw : 0.0, bad);
    return share > 0 ? busbw : 0.0;
}

int main(int argc, char **argv)
{
    static rank_t space[MAX_RANKS];
    unsigned long long list[MAX_SIZES];
    int nversion = 0;
    all = space;
    parse(argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
#ifdef MPI_SUPPORT
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &world);
    if (world > MAX_RANKS) {
        fprintf(stderr, "at most %d ranks\n", MAX_RANKS);
        finish(1);
    }
#endif
    ranks = world;
    const char *level = getenv("NCCL_DEBUG");
    if (level)
        debug = !strcasecmp(level, "VERSION") ? 1 : !strcasecmp(level, "WARN") ? 2
              : !strcasecmp(level, "INFO") || !strcasecmp(level, "TRACE") ? 3 : 0;
    rank_t *me = &all[rank];
    gethostname(me->host, sizeof me->host - 1);
    me->host[strcspn(me->host, ".")] = 0;
    me->pid = (int)getpid();
    ncclGetVersion(&nversion);
    int count = sizes(list);
    start_helper();
    if (ask) {
        fprintf(ask, "plan %d", count);
        for (int i = 0; i < count; i++)
            fprintf(ask, " %llu", list[i]);
        fputc('\n', ask);
        fflush(ask);
        read_plan(me);
    }
    share();
    me = &all[rank];
    int alone = 0;
    for (int r = 0; r < world; r++)
        alone |= !strcmp(all[r].fault, "nccl_two_worlds");
    if (alone && world > 1) {
        /* As when the program was built without MPI: every process is a world of its own. */
        all[0] = *me;
        me = &all[0];
        rank = 0;
        ranks = 1;
    }
    headers(nversion);
    for (int r = 0; r < ranks; r++)
        if (!strncmp(all[r].failure, "cuda ", 5)) {
            if (r == rank)
                fail_cuda(all[r].failure + 5);
            pause();
        }
    init_lines(nversion);
    if (!strncmp(me->failure, "warn ", 5)) {
        WARN("%s", me->failure + 5);
        fail_nccl(ncclSystemError, 447);
    }
    if (!strcmp(me->fault, "nccl_oom"))
        fail_cuda("out of memory");
    table_head();
    if (!strcmp(me->fault, "nccl_hang"))
        for (long left = me->fault_value; left > 0; left--)
            sleep(1);
    connection_lines();
    int failed = cross();
    if (failed == -2) {
        WARN("Call to ibv_modify_qp failed with 110 Connection timed out, on dev %s:1", me->device[0].name);
        fail_nccl(ncclSystemError, 411);
    }
    if (failed >= 0 || !strcmp(me->fault, "nccl_retry")) {
        link_t at = nlinks ? links[failed > 0 ? failed : 0] : (link_t){0, 0, beside(1)};
        const device_t *d = &me->device[at.mine], *e = &at.other->device[at.theirs];
        /* The real line comes as a warning whatever NCCL_DEBUG says about details. */
        printf("%s:%d:%d [0] NCCL WARN NET/IB: Got completion from peer %s<48121> with status=IBV_WC_RETRY_EXC_ERR(12) opcode=IBV_WC_RDMA_WRITE(1) "
               "reqSize=0 vendor_err=129 req_type=Send localGid ::ffff:%s remoteGids::ffff:%s hca %s\n",
               me->host, me->pid, me->pid, e->ip, d->ip, e->ip, d->name);
        fflush(stdout);
        fail_nccl(ncclRemoteError, 411);
    }
    double total = 0;
    long wrong = 0;
    int rows = 0, devices = 0, incomplete = 0;
    rank_t *other = beside(1);
    for (int i = 0; i < me->ndevices; i++)
        devices += in_use(i);
    for (int r = 0; r < ranks; r++) {
        if (!strcmp(all[r].fault, "nccl_wrong"))
            wrong = all[r].fault_value;
        incomplete |= !strcmp(all[r].fault, "nccl_incomplete");
    }
    for (int i = 0; i < count; i++) {
        double busbw = me->busbw[i];
        for (int r = 0; r < ranks; r++)
            if (all[r].busbw[i] < busbw)
                busbw = all[r].busbw[i];
        usleep(150000);
        if (i == (count > 1) && !strcmp(me->fault, "nccl_rank_killed"))
            kill(getpid(), SIGKILL);
        barrier();
        if (ranks > 1 && !me->socket && !other->socket) {
#ifdef ALL_REDUCE
            double each = (double)list[i] * 2 * (ranks - 1) / ranks;
#else
            double each = (double)list[i] * (ranks - 1) / ranks;
#endif
            each *= 2.0 * (options.iters + options.warmup);
            for (int n = 0; n < me->ndevices; n++)
                if (in_use(n))
                    fprintf(ask, "credit %s %.0f\n", me->device[n].name, each / devices);
            fflush(ask);
        }
        if (rank == 0) {
            char out[96], in[96];
            total += half_row(out, sizeof out, list[i], busbw * 0.988, wrong);
            total += half_row(in, sizeof in, list[i], busbw, wrong);
            rows += 2;
#ifdef ALL_REDUCE
            unsigned long long elements = list[i] / 4;
#else
            unsigned long long elements = list[i] / 4 / (unsigned long long)ranks;
#endif
            printf("%12llu  %12llu  %8s  %6s  %6i%s%s\n", list[i], elements, "float", REDOP, -1, out, in);
            fflush(stdout);
        }
        if (incomplete)
            finish(0);
    }
    INFO("comm 0x%lx rank %d nranks %d cudaDev 0 busId f01000 - Destroy COMPLETE", (unsigned long)me, rank, ranks);
    if (rank == 0) {
        long bad = options.check ? wrong * rows : 0;
        printf("# Out of bounds values : %ld %s\n# Avg bus bandwidth    : %g \n#\n# Collective test concluded: " NAME "\n#\n\n", bad,
               bad ? "FAILED" : "OK", rows ? total / rows : 0.0);
    }
    INFO("ENV/Plugin: Closing env plugin ncclEnvDefault");
    finish(wrong && options.check ? 1 : 0);
}
