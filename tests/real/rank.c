/* What a rank is: its number among how many, and what it was given. Two ranks prove by a message that they are one world. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    int rank, ranks, sum = 0;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    int mine = rank + 1;
    MPI_Allreduce(&mine, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    printf("rank %d of %d sum %d hca %s debug %s size %s\n", rank, ranks, sum, getenv("NCCL_IB_HCA"), getenv("NCCL_DEBUG"), argv[2]);
    MPI_Finalize();
    return 0;
}
