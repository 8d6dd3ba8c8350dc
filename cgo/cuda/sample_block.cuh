// What the threads of a block share while they sample a row, how they read the row, and
// sums of masses by bin.

#ifndef PERSONAPROBE_SAMPLE_BLOCK_CUH
#define PERSONAPROBE_SAMPLE_BLOCK_CUH

#include "sample.h"

#include "sample_math.cuh"

#ifndef PP_SAMPLE_THREADS
#define PP_SAMPLE_THREADS 512
#endif

namespace {

constexpr int      kThreads  = PP_SAMPLE_THREADS;
constexpr int      kWarps    = kThreads / 32;
constexpr int      kMaxVocab = PP_SAMPLE_MAX_VOCAB < kWarps << 16 ? PP_SAMPLE_MAX_VOCAB : kWarps << 16; // see lists
constexpr int      kAbove    = 1024; // buckets of a sketch above its reference
constexpr int      kSketch   = kAbove + kBuckets;
constexpr int      kPartBits = 10;  // narrow divides a range of logits in 1024 parts at most
constexpr int      kList     = 256; // tokens that a warp lists
constexpr int      kChunk    = 64;  // bins, whose sum is kept too
constexpr unsigned kAll      = 0xffffffffu;
static_assert(kThreads % 32 == 0 && kWarps >= 2 && kWarps <= 32, "a warp sums up warps");
static_assert(kBuckets <= 32 * kChunk && (1 << kPartBits) <= 32 * kChunk, "a lane has a chunk");

// share is a piece of the row and what of it is in the nucleus.
struct share {
    u64      mass; // of the tokens above the cut
    unsigned size; // their number
    unsigned ties; // tokens with the logit of the cut
};

// before is how much lies before a place in the row.
struct before {
    u64      mass;
    unsigned ties;
};

// bins are sums of masses, in halves, and those of each chunk of bins.
struct bins {
    unsigned low[1 << kPartBits];
    unsigned high[1 << kPartBits];
    u64      chunks[32];
};

// place is where a running mass reaches a goal.
struct place {
    unsigned bin; // kAll: it does not
    u64      above, mass;
};

// state is a block's shared memory.
struct state {
    unsigned       sketch[kSketch + 32]; // see sketch_token; the last ones take what is not in it
    u64            sketch_chunks[32];
    bins           parts[2]; // turns of narrow take them alternately
    powers         exp2;
    share          warps[kWarps];  // of the warps' pieces
    share          within[kWarps]; // of the parts of the piece that the draw falls in
    u64            warp_totals[kWarps];
    unsigned       listed[kWarps];        // tokens of the warp's piece in the bracket
    unsigned short lists[kWarps][kList];  // which they are, from the piece's first on, if they fit
    float          values[kWarps][kList]; // and their logits
    place          found;                 // broadcast of warp 0, as are those below
    u64            total, need;
    unsigned       size; // of the nucleus
    int            piece;
    before         upto;   // the piece
    float          lo, hi; // the bracket
    unsigned       top, bad, first, reference;
};

// row is what every thread knows of its row: each warp has a piece of it, in steps of 32
// quads of four tokens.
struct row {
    const float * x;
    int           n;
    int           span;  // steps of a piece
    int           from;  // the warp's first token
    int           steps; // of the warp's piece
    scale         s;
};

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

// quad returns the four logits at a place, -Inf where fewer are left. kQuads: rows start
// at 16 bytes and are quads throughout.
template <bool kQuads> __device__ inline float4 quad(const float * at, int left) {
    const auto get = [&](int k) { return k < left ? at[k] : -INFINITY; };
    float4     v   = { -INFINITY, -INFINITY, -INFINITY, -INFINITY };
    if (!kQuads) {
        v = make_float4(get(0), get(1), get(2), get(3));
    } else if (left > 0) {
        v = *reinterpret_cast<const float4 *>(at);
    }
    return v;
}

// stream reads the lane's quads of the warp's piece, the next few of them under way.
template <bool kQuads, int kAhead> struct stream {
    const float * at;   // the next one to read
    int           left; // tokens of the row from there on, up to the piece's end
    float4        next[kAhead];

    __device__ explicit stream(const row & r) {
        at   = r.x + r.from + 4 * lane_id();
        left = min(r.n - r.from, 128 * r.steps) - 4 * lane_id();
#pragma unroll
        for (int k = 0; k < kAhead; k++) {
            next[k] = read();
        }
    }

    __device__ float4 read() {
        const float4 v = quad<kQuads>(at, left);
        at += 128;
        left -= 128;
        return v;
    }

    // each calls f with every quad and its step.
    template <typename F> __device__ void each(const row & r, F f) {
#pragma unroll 1
        for (int j = 0; j < r.steps; j += kAhead) {
#pragma unroll
            for (int k = 0; k < kAhead; k++) {
                const float4 v = next[k];
                next[k]        = read();
                if (j + k < r.steps) {
                    f(v, j + k);
                }
            }
        }
    }
};

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

// two is the mass in two neighbouring bins.
struct two {
    u64 a, b;
};

// sum_chunks sums n bins by chunk; value(i) is the mass in the bins i and i+1, 0 from n on.
template <typename Value> __device__ void sum_chunks(u64 * chunks, int n, Value value) {
    for (int c = warp_id(); c * kChunk < n; c += kWarps) {
        const two v   = value(c * kChunk + 2 * lane_id());
        const u64 sum = warp_sum(v.a + v.b);
        if (lane_id() == 0) {
            chunks[c] = sum;
        }
    }
}

// chunk_of is the mass of the lane's chunk of n bins.
__device__ inline u64 chunk_of(const u64 * chunks, int n) { return lane_id() * kChunk < n ? chunks[lane_id()] : 0; }

// seek finds the first bin at which the running mass, from above on, reaches need. The
// lane has the mass of a chunk, and value(i) that in the bins i and i+1. It returns the
// place in one lane, and kAll in the others. A warp calls it.
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
    if (lane_id() != __ffs((int)end) - 1) {
        return place{ kAll, 0, 0 };
    }
    const u64 middle = upto - m.b;
    return middle >= need ? place{ (unsigned)i, middle - m.a, m.a } : place{ (unsigned)i + 1, middle, m.b };
}

} // namespace

#endif
