/* One collective between MPI ranks, one GPU each: enough of nccl-tests to be compiled, linked and started. */
#include <cuda_runtime.h>
#include <nccl.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef MPI_SUPPORT
#include <mpi.h>
#endif

#define CUDA(call) \
    do { \
        cudaError_t error = (call); \
        if (error != cudaSuccess) { \
            printf("Test CUDA failure %s:%d '%s'\n", __FILE__, __LINE__, cudaGetErrorString(error)); \
            exit(1); \
        } \
    } while (0)
#define NCCL(call) \
    do { \
        ncclResult_t error = (call); \
        if (error != ncclSuccess) { \
            printf("Test NCCL failure %s:%d '%s'\n", __FILE__, __LINE__, ncclGetErrorString(error)); \
            exit(1); \
        } \
    } while (0)

__global__ void fill(float *data, size_t count, float value)
{
    for (size_t place = blockIdx.x * (size_t)blockDim.x + threadIdx.x; place < count; place += gridDim.x * (size_t)blockDim.x)
        data[place] = value;
}

int main(int argc, char **argv)
{
    int rank = 0, ranks = 1, library = 0;
#ifdef MPI_SUPPORT
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
#endif
    NCCL(ncclGetVersion(&library));
    if (rank == 0) {
        printf("# nccl-tests version 0.0.0 nccl-headers=%d nccl-library=%d\n", NCCL_VERSION_CODE, library);
#ifdef COLLECTIVE_all_reduce
        printf("# Collective test starting: all_reduce_perf\n");
#else
        printf("# Collective test starting: all_gather_perf\n");
#endif
        fflush(stdout);
    }
    const size_t count = 1 << 20;
    float *data = NULL;
    cudaStream_t stream;
    ncclComm_t communicator;
    ncclUniqueId id;
    CUDA(cudaSetDevice(0));
    if (rank == 0)
        NCCL(ncclGetUniqueId(&id));
#ifdef MPI_SUPPORT
    MPI_Bcast(&id, sizeof id, MPI_BYTE, 0, MPI_COMM_WORLD);
#endif
    CUDA(cudaMalloc((void **)&data, sizeof *data * count * ranks));
    CUDA(cudaStreamCreate(&stream));
    NCCL(ncclCommInitRank(&communicator, ranks, id, rank));
    fill<<<64, 256, 0, stream>>>(data + rank * count, count, (float)rank);
#ifdef COLLECTIVE_all_reduce
    NCCL(ncclAllReduce(data, data, count, ncclFloat, ncclSum, communicator, stream));
#else
    NCCL(ncclAllGather(data + rank * count, data, count, ncclFloat, communicator, stream));
#endif
    CUDA(cudaStreamSynchronize(stream));
    NCCL(ncclCommDestroy(communicator));
#ifdef MPI_SUPPORT
    MPI_Finalize();
#endif
    return 0;
}
