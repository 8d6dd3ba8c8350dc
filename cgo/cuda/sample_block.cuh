// What the blocks of a cluster share while they sample a row: their state, and sums of
// masses by bin over the cluster.

#ifndef PERSONAPROBE_SAMPLE_BLOCK_CUH
#define PERSONAPROBE_SAMPLE_BLOCK_CUH

#include "sample.h"

#include "sample_math.cuh"

#ifndef PP_SAMPLE_THREADS
#define PP_SAMPLE_THREADS 512
#endif
#ifndef PP_SAMPLE_CLUSTER
#define PP_SAMPLE_CLUSTER 8
#endif

namespace {

constexpr int kThreads   = PP_SAMPLE_THREADS;
constexpr int kWarps     = kThreads / 32;
constexpr int kMaxPeers  = PP_SAMPLE_CLUSTER;
constexpr int kMinBlocks = kThreads <= 512 ? 2 : 1; // an SM has
#if defined(PP_EMULATE) || __CUDA_ARCH__ >= 900
constexpr int kPeers = kMaxPeers; // blocks of a cluster
#else
constexpr int kPeers = 1;
#endif
constexpr int      kPartBits = 10;  // narrow divides a range of logits in 1024 parts at most
constexpr int      kList     = 128; // tokens that a warp lists
constexpr int      kChunk    = 64;  // bins, whose sum is published too
constexpr unsigned kAll      = 0xffffffffu;
static_assert(kThreads % 32 == 0 && kWarps >= 2 && kWarps <= 32 && kMaxPeers <= 32, "a warp sums up warps and peers");
static_assert(kBuckets <= 32 * kChunk && (1 << kPartBits) <= 32 * kChunk, "a lane has a chunk");

// share is a piece of the row and what of it is in the nucleus.
struct share {
    u64      mass; // of the tokens above the cut
    unsigned size; // their number
    unsigned ties; // tokens with the logit of the cut
};

// bins are sums of masses, in halves, and those of each chunk of bins.
struct bins {
    alignas(8) unsigned low[1 << kPartBits];
    alignas(8) unsigned high[1 << kPartBits];
    u64 chunks[32];
};

// place is where a running mass reaches a goal.
struct place {
    unsigned bin; // kAll: it does not
    u64      above, mass;
};

// state is a block's shared memory but for the logits and the marks. Peers read what
// is published before a cluster_sync until they arrive at the next one.
struct state {
    alignas(8) unsigned sketch[kBuckets + 1 + 32]; // see sketch; the last ones take what has no mass
    u64            sketch_chunks[32];
    bins           parts[2]; // turns of narrow take them alternately
    powers         exp2;
    share          warps[kWarps];
    u64            warp_totals[kWarps];
    unsigned       listed[kWarps];       // marked tokens of the warp's piece
    unsigned short lists[kWarps][kList]; // and which they are, if they fit
    u64            total, above;         // masses of this block: all of it, and above the bracket
    share          mine;
    place          found; // broadcast of warp 0
    u64            row_total, need;
    float          lo, hi; // the bracket
    unsigned       top, bad, first;
};

// row is what every thread knows of its row. A block's part of it is divided in quads
// of four tokens; a warp has 32·steps of them in a row, and a lane every 32nd of those.
struct row {
    const float * x;     // this block's part
    int           n;     // its length
    int           base;  // id of its first token
    int           part;  // the longest part's length
    int           span;  // quads per lane at most
    int           steps; // the warp's
    int           quad;  // the lane's first
    unsigned      rank;
    scale         s;
};

// steps is how many quads of a part a lane has.
__host__ __device__ inline int steps(int part) { return (part / 4 + kThreads - 1) / kThreads; }

// padded is the size of a part whose last quads make up a whole step.
__host__ __device__ inline int padded(int part) { return (part + 127) / 128 * 128; }

__device__ inline int lane_id() { return threadIdx.x % 32; }
__device__ inline int warp_id() { return threadIdx.x / 32; }

__device__ inline u64 warp_sum(u64 v) {
    for (int d = 16; d > 0; d /= 2) {
        v += __shfl_xor_sync(kAll, v, d);
    }
    return v;
}

template <typename T> __device__ inline T warp_scan(T v) {
    for (int d = 1; d < 32; d *= 2) {
        const T left = __shfl_up_sync(kAll, v, d);
        v += lane_id() >= d ? left : 0;
    }
    return v;
}

__device__ inline void clear(bins & b) {
    for (int i = (int)threadIdx.x; i < 1 << kPartBits; i += kThreads) {
        b.low[i] = b.high[i] = 0;
    }
}

// add_bin adds a 64-bit mass with the 32-bit atomics that the hardware has; the one
// for 64 bits is a loop that retries as long as others are faster.
__device__ inline void add_bin(bins & b, unsigned bin, u64 m) {
    const unsigned low  = (unsigned)m;
    const unsigned old  = atomicAdd(&b.low[bin], low);
    const unsigned high = (unsigned)(m >> 32) + (old + low < old);
    if (high != 0) {
        atomicAdd(&b.high[bin], high);
    }
}

// reduce_mass is the lanes' sum of masses below 2^60, in parts of 20 bits, 32 of which fit.
__device__ inline u64 reduce_mass(u64 m) {
    const u64 low    = __reduce_add_sync(kAll, (unsigned)m & 0xfffffu),
              middle = __reduce_add_sync(kAll, (unsigned)(m >> 20) & 0xfffffu);
    return low + (middle << 20) + ((u64)__reduce_add_sync(kAll, (unsigned)(m >> 40)) << 40);
}

// add is add_bin for the lanes with in set. Lanes with one bin would wait for each
// other, so a crowd is summed up first: rows of ties have nothing else.
__device__ inline void add(bins & b, unsigned bin, u64 m, bool in) {
    constexpr int  kCrowd = 6;
    const unsigned set    = __ballot_sync(kAll, in);
    if (__popc(set) >= kCrowd) {
        const int      leader = __ffs((int)set) - 1;
        const unsigned common = __shfl_sync(kAll, bin, leader);
        const bool     same   = in && bin == common;
        if (__popc(__ballot_sync(kAll, same)) >= kCrowd) {
            const u64 total = reduce_mass(same ? m : 0);
            if (lane_id() == leader) {
                add_bin(b, common, total);
            }
            in = in && !same;
        }
    }
    if (in) {
        add_bin(b, bin, m);
    }
}

struct alignas(8) pair {
    unsigned a, b;
};

// two is what the cluster's blocks have in two neighbouring bins.
struct two {
    u64 a, b;
};

__device__ inline two sum_pair(const unsigned * p, int peers) {
    two sum = { 0, 0 };
#pragma unroll
    for (int i = 0; i < peers; i++) {
        const pair v = *reinterpret_cast<const pair *>(peers == 1 ? p : peer(p, i));
        sum.a += v.a;
        sum.b += v.b;
    }
    return sum;
}

// merged is the lane's chunk of n bins over the cluster.
__device__ inline u64 merged(const u64 * chunks, int n) {
    u64 sum = 0;
    if (lane_id() * kChunk < n) {
#pragma unroll
        for (int p = 0; p < kPeers; p++) {
            sum += *peer(chunks + lane_id(), p);
        }
    }
    return sum;
}

// parts_mass is the mass in the bins i and i+1 over all peers, or in this block.
template <int kOf> __device__ inline two parts_mass(const bins & b, int i) {
    const two low = sum_pair(b.low + i, kOf), high = sum_pair(b.high + i, kOf);
    return two{ low.a + (high.a << 32), low.b + (high.b << 32) };
}

// sum_chunks sums n bins by chunk, for peers to read; value(i) is what the block has in
// the bins i and i+1, 0 from n on.
template <typename Value> __device__ void sum_chunks(u64 * chunks, int n, Value value) {
    for (int c = warp_id(); c * kChunk < n; c += kWarps) {
        const two v   = value(c * kChunk + 2 * lane_id());
        const u64 sum = warp_sum(v.a + v.b);
        if (lane_id() == 0) {
            chunks[c] = sum;
        }
    }
}

// seek finds the first bin at which the running mass, from above on, reaches need. The
// lane has the mass of a chunk, and value(i) that in the bins i and i+1, over the
// cluster. It returns the place in one lane, and kAll in the others. A warp calls it.
template <typename Value> __device__ place seek(u64 chunk, u64 above, u64 need, Value value) {
    const u64      sum = warp_scan(chunk);
    const unsigned hit = __ballot_sync(kAll, above + sum >= need);
    if (hit == 0 || above >= need) {
        return place{ kAll, 0, 0 };
    }
    const int first = __ffs((int)hit) - 1;
    above += __shfl_sync(kAll, sum - chunk, first);
    const int      i    = first * kChunk + 2 * lane_id();
    const two      m    = value(i);
    const u64      upto = above + warp_scan(m.a + m.b);
    const unsigned end  = __ballot_sync(kAll, upto >= need);
    if (lane_id() != (end != 0 ? __ffs((int)end) - 1 : 31)) { // a sketch's chunks may differ a little from its bins
        return place{ kAll, 0, 0 };
    }
    const u64 middle = upto - m.b;
    return middle >= need ? place{ (unsigned)i, middle - m.a, m.a } : place{ (unsigned)i + 1, middle, m.b };
}

} // namespace

#endif
