// Attention over one sequence that no process holds as a whole. Every rank of an MPI job owns two
// chunks of the tokens; keys and values travel round a ring, and what a rank saw of each chunk is
// merged. Compared with attention in one process, on 1, 2, 4 ... of the ranks it is started with:
//
//     mpirun -np 4 ring_attention
#include <mpi.h>
#include <support/command_line.hpp>
#include <support/ring_sequence.hpp>

#include <cstdio>
#include <iostream>
#include <sstream>
#include <vector>

namespace {

constexpr int kResultsDiffer = 3;

/// Sends a vector on to the next rank and takes that of the one before, which may differ in size.
void pass_on(std::vector<float>& values, std::int64_t next_tokens, const RingChunks& chunks,
             int rank, MPI_Comm ring) {
  std::vector<float> received(
      static_cast<std::size_t>(next_tokens * RingSequence::kKeyHeads * RingSequence::kDim));
  MPI_Sendrecv(values.data(), static_cast<int>(values.size()), MPI_FLOAT, (rank + 1) % chunks.ranks,
               0, received.data(), static_cast<int>(received.size()), MPI_FLOAT,
               (rank + chunks.ranks - 1) % chunks.ranks, 0, ring, MPI_STATUS_IGNORE);
  values.swap(received);
}

/// Attention of this rank's queries over every key of the ring.
RingResult attend_in_ring(const RingSequence& sequence, const RingChunks& chunks, int rank,
                          MPI_Comm ring) {
  RingRows rows(sequence, chunks.tokens_of(rank));  // its keys and values are those passed round
  RingResult seen(chunks.owned(rank));
  RingResult part(chunks.owned(rank));
  int owner = rank;
  for (int step = 1;; ++step) {
    see_chunks(sequence, chunks, rank, owner, rows.q, rows.k, rows.v, seen, part);
    if (step == chunks.ranks) return seen;
    owner = (owner + chunks.ranks - 1) % chunks.ranks;
    pass_on(rows.k, chunks.owned(owner), chunks, rank, ring);
    pass_on(rows.v, chunks.owned(owner), chunks, rank, ring);
  }
}

/// One row of the table, by rank 0 of the ring; `alone` is only read there.
bool run_ring(const RingSequence& sequence, RingResult& alone, MPI_Comm ring) {
  int rank = 0;
  RingChunks chunks{sequence.tokens, 1};
  MPI_Comm_rank(ring, &rank);
  MPI_Comm_size(ring, &chunks.ranks);
  RingResult own = attend_in_ring(sequence, chunks, rank, ring);
  if (rank != 0) {
    MPI_Send(own.values.data(), static_cast<int>(own.values.size()), MPI_FLOAT, 0, 1, ring);
    return true;
  }
  RingDifferences differences;
  differences.add(own, chunks.tokens_of(0), alone);
  for (int other = 1; other < chunks.ranks; ++other) {
    RingResult sent(chunks.owned(other));
    MPI_Recv(sent.values.data(), static_cast<int>(sent.values.size()), MPI_FLOAT, other, 1, ring,
             MPI_STATUS_IGNORE);
    differences.add(sent, chunks.tokens_of(other), alone);
  }
  const double bound = RingDifferences::bound(chunks.ranks);
  const bool same = differences.within(bound);
  const std::int64_t passed = std::int64_t{2} * (chunks.ranks - 1) * chunks.owned(0) *
                              RingSequence::kKeyHeads * RingSequence::kDim *
                              static_cast<std::int64_t>(sizeof(float));
  std::printf("%5d %7lld %9lld %7.2f %7.2f", chunks.ranks, static_cast<long long>(chunks.owned(0)),
              static_cast<long long>(passed / 1024), chunks.imbalance(false),
              chunks.imbalance(true));
  for (const double off : differences.largest) std::printf(" %8.1e", off);
  std::printf(" %8.1e  %s\n", bound, same ? "same" : "DIFFERENT");
  return same;
}

/// MPI from first to last; ranks other than 0 are silent.
class Job {
 public:
  Job(int* argc, char*** argv) {
    MPI_Init(argc, argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (rank == 0) return;
    out_ = std::cout.rdbuf(silence_.rdbuf());
    err_ = std::cerr.rdbuf(silence_.rdbuf());
  }
  ~Job() {
    if (out_ != nullptr) std::cout.rdbuf(out_);
    if (err_ != nullptr) std::cerr.rdbuf(err_);
    MPI_Finalize();
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  int rank = 0;
  int ranks = 1;

 private:
  std::ostringstream silence_;
  std::streambuf* out_ = nullptr;
  std::streambuf* err_ = nullptr;
};

int ring_attention(int argc, char** argv) {
  const Job job(&argc, &argv);
  CLI::App app{"Causal attention over one sequence on 1, 2, 4 ... ranks, against one process",
               "ring_attention"};
  app.footer("Exit codes: 1 usage, 3 results differ.");
  std::string tokens = "1024";
  std::string position = "1000000007";
  app.add_option("--tokens", tokens, "Tokens of the sequence, 2 per rank .. 65536");
  app.add_option("--first-position", position, "Position of its first token");
  return run_program(app, argc, argv, [&] {
    const RingSequence sequence{parse_length("--tokens", tokens),
                                parse_length("--first-position", position)};
    const std::int64_t fewest = std::int64_t{2} * job.ranks;
    if (sequence.tokens < fewest || sequence.tokens > 65536) {
      throw Failure{kUsageError,
                    "--tokens = " + tokens + " is not in " + std::to_string(fewest) + " .. 65536"};
    }
    RingResult alone(0);
    if (job.rank == 0) {
      alone = attend_alone(sequence);
      std::printf("%lld tokens from position %lld, %d heads over %d key heads of %d, float\n",
                  static_cast<long long>(sequence.tokens),
                  static_cast<long long>(sequence.first_position), RingSequence::kHeads,
                  RingSequence::kKeyHeads, RingSequence::kDim);
      std::puts(
          "      of rank 0: KiB  busiest / mean  largest difference, over max(1, |value|)\n"
          "ranks  tokens    passed  blocks  chunks   output      lse  entropy     mean"
          " variance    bound");
    }
    int same = 1;
    for (int ranks = 1; ranks <= job.ranks; ranks *= 2) {
      MPI_Comm ring = MPI_COMM_NULL;
      MPI_Comm_split(MPI_COMM_WORLD, job.rank < ranks ? 0 : MPI_UNDEFINED, job.rank, &ring);
      if (ring == MPI_COMM_NULL) continue;
      if (!run_ring(sequence, alone, ring)) same = 0;
      MPI_Comm_free(&ring);
    }
    std::fflush(stdout);
    MPI_Bcast(&same, 1, MPI_INT, 0, MPI_COMM_WORLD);
    return same == 1 ? 0 : kResultsDiffer;
  });
}

}  // namespace

int main(int argc, char** argv) { return guarded(ring_attention, argc, argv); }
