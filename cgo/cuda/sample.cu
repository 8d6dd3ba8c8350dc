// One cluster of blocks samples one row. Each block reads its part of the row once
// and keeps it in shared memory; later passes read it there. With exact integer
// masses, sums may be taken in any order:
//
//   load     the largest logit of the row, and whether all are valid
//   weigh    the mass in each whole depth (bucket), over the cluster
//   narrow   the bucket in which the nucleus ends, then its 1024 parts, and so on
//            down to one logit; see Sampler.narrow
//   count    kept mass of each warp's piece of the row
//   draw     the piece, then the token, at which the running mass exceeds the goal
//
// Loops around warp intrinsics run the same number of times in all lanes.

#include "sample.h"

#include "sample_math.cuh"

#ifndef PP_SAMPLE_THREADS
#define PP_SAMPLE_THREADS 512
#endif
#ifndef PP_SAMPLE_CLUSTER
#define PP_SAMPLE_CLUSTER 8
#endif

namespace {

constexpr int      kThreads  = PP_SAMPLE_THREADS;
constexpr int      kWarps    = kThreads / 32;
constexpr int      kMaxPeers = PP_SAMPLE_CLUSTER;
constexpr int      kPartBits = 10;  // narrow divides a range of logits in 1024 parts at most
constexpr unsigned kAll      = 0xffffffffu;
static_assert(kBuckets >= 1 << kPartBits, "parts and buckets share the bins");
static_assert(kThreads % 32 == 0 && kWarps >= 2 && kWarps <= 32 && kMaxPeers <= 32, "a warp sums up warps and peers");

// share is a piece of the row and what of it is in the nucleus.
struct share {
    u64      mass;  // of the tokens above the cut
    unsigned size;  // their number
    unsigned ties;  // tokens with the logit of the cut
};

// state is a block's shared memory but for the logits. Peers read what is published
// between two cluster_syncs.
struct state {
    unsigned low[kBuckets], high[kBuckets];  // halves of the sums of masses
    double   exp2[kPerOctave];
    share    warps[kWarps];
    share    mine;
    u64      slice;        // mass in this block's slice of the bins
    u64      found_above;  // broadcasts of warp 0
    u64      found_mass;
    unsigned found;
    unsigned top, bad;  // this block's
    unsigned row_top, row_bad;
    unsigned lo, hi;
    unsigned first;
};

// row is what every thread knows of its row.
struct row {
    const float * x;     // this block's part
    int           n;     // its length
    int           base;  // id of its first token
    int           from;  // the warp's piece of it
    int           to;
    int           peers;
    unsigned      rank;
    scale         s;
};

struct launch_args {
    const float *   logits;
    int64_t         stride;
    int             n_vocab;
    int             part;  // tokens per block
    int             peers;
    const pp_draw * draws;
    pp_choice *     out;
};

// cut is where the nucleus ends: it holds the tokens whose order is above key, and
// the first ties of those at key.
struct cut {
    unsigned key;
    unsigned ties;
    u64      tie_mass;  // of one
    u64      kept;      // of the nucleus
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

// --- load ---

__device__ inline void look(float v, int id, float & top, unsigned & bad) {
    top = fmaxf(top, v);
    if (!(v <= FLT_MAX)) {
        bad = min(bad, (unsigned) id);
    }
}

// load reads the block's part, copies it to shared memory if it is to stay there,
// and publishes the largest logit and the first bad one.
template <bool kStays> __device__ void load(state & st, const row & r, float * copy) {
    float     top     = -INFINITY;
    unsigned  bad     = kAll;
    const int tid     = (int) threadIdx.x;
    const int quads   = ((uintptr_t) r.x & 15) == 0 ? r.n / 4 : 0;
    auto      src     = reinterpret_cast<const float4 *>(r.x);
    auto      dst     = reinterpret_cast<float4 *>(copy);
    constexpr int kBatch = 4;  // loads in flight per thread
    for (int i = tid; i < quads; i += kBatch * kThreads) {
        float4 v[kBatch];
#pragma unroll
        for (int k = 0; k < kBatch; k++) {
            v[k] = i + k * kThreads < quads ? src[i + k * kThreads] : make_float4(-INFINITY, -INFINITY, -INFINITY, -INFINITY);
        }
#pragma unroll
        for (int k = 0; k < kBatch; k++) {
            const int q  = i + k * kThreads;
            const int id = r.base + 4 * q;
            look(v[k].x, id, top, bad);
            look(v[k].y, id + 1, top, bad);
            look(v[k].z, id + 2, top, bad);
            look(v[k].w, id + 3, top, bad);
            if (kStays && q < quads) {
                dst[q] = v[k];
            }
        }
    }
    for (int i = 4 * quads + tid; i < r.n; i += kThreads) {
        const float v = r.x[i];
        look(v, r.base + i, top, bad);
        if (kStays) {
            copy[i] = v;
        }
    }
    const unsigned key = __reduce_max_sync(kAll, order(top));
    bad                = __reduce_min_sync(kAll, bad);
    if (lane_id() == 0) {
        atomicMax(&st.top, key);
        atomicMin(&st.bad, bad);
    }
    cluster_sync();
    if (warp_id() == 0) {
        const bool     valid = lane_id() < r.peers;
        const unsigned t     = valid ? *peer(&st.top, lane_id()) : 0;
        const unsigned b     = valid ? *peer(&st.bad, lane_id()) : kAll;
        const unsigned top_all = __reduce_max_sync(kAll, t);
        const unsigned bad_all = __reduce_min_sync(kAll, b);
        if (lane_id() == 0) {
            st.row_top = top_all;
            st.row_bad = bad_all;
        }
    }
    __syncthreads();
}

// --- sums of masses by bin, over the cluster ---

__device__ inline void clear_bins(state & st, int n) {
    for (int b = (int) threadIdx.x; b < n; b += kThreads) {
        st.low[b] = st.high[b] = 0;
    }
    __syncthreads();
}

// add_bin adds a 64-bit mass with the 32-bit atomics that the hardware has; the one
// for 64 bits is a loop that retries as long as others are faster.
__device__ inline void add_bin(state & st, unsigned bin, u64 m) {
    const unsigned low  = (unsigned) m;
    const unsigned old  = atomicAdd(&st.low[bin], low);
    const unsigned high = (unsigned) (m >> 32) + (old + low < old);
    if (high != 0) {
        atomicAdd(&st.high[bin], high);
    }
}

// add is add_bin for the lanes with in set. Lanes with one bin would wait for each
// other, so a crowd is summed up first: on a flat row nearly all tokens share a bin.
__device__ inline void add(state & st, unsigned bin, u64 m, bool in) {
    constexpr int kCrowd = 6;
    unsigned      left   = __ballot_sync(kAll, in);
    for (int turn = 0; turn < 3 && __popc(left) >= kCrowd; turn++) {
        const int      leader = __ffs((int) left) - 1;
        const unsigned common = __shfl_sync(kAll, bin, leader);
        const bool     same   = in && bin == common;
        const unsigned crowd  = __ballot_sync(kAll, same);
        if (__popc(crowd) < kCrowd) {
            break;
        }
        const u64 part  = same ? m : 0;  // below 2^45: two parts of 23 bits, 32 of which fit
        const u64 total = __reduce_add_sync(kAll, (unsigned) part & 0x7fffffu) +
                          ((u64) __reduce_add_sync(kAll, (unsigned) (part >> 23)) << 23);
        if (lane_id() == leader) {
            add_bin(st, common, total);
        }
        in   = in && !same;
        left = left & ~crowd;
    }
    if (in) {
        add_bin(st, bin, m);
    }
}

__device__ inline u64 read_bin(const state * st, int b) {
    return (u64) st->high[b] << 32 | st->low[b];
}

__device__ inline int slice_size(const row & r, int n) { return (n + r.peers - 1) / r.peers; }

// merge_bins sums n bins over the cluster: each block those of its slice, in place.
__device__ void merge_bins(state & st, const row & r, int n) {
    cluster_sync();
    const int size = slice_size(r, n);
    const int from = (int) r.rank * size;
    const int to   = min(n, from + size);
    u64       sum  = 0;
    for (int b = from + (int) threadIdx.x; b < to; b += kThreads) {
        u64 m = 0;
        for (int p = 0; p < r.peers; p++) {
            m += read_bin(peer(&st, p), b);
        }
        st.low[b]  = (unsigned) m;  // no peer reads this slice yet
        st.high[b] = (unsigned) (m >> 32);
        sum += m;
    }
    sum = warp_sum(sum);
    if (lane_id() == 0) {
        st.warps[warp_id()].mass = sum;
    }
    __syncthreads();
    if (warp_id() == 0) {
        sum = warp_sum(lane_id() < kWarps ? st.warps[lane_id()].mass : 0);
        if (lane_id() == 0) {
            st.slice = sum;
        }
    }
    cluster_sync();
}

__device__ u64 total_mass(state & st, const row & r) {
    u64 sum = 0;
    for (int p = 0; p < r.peers; p++) {
        sum += *peer(&st.slice, p);
    }
    return sum;
}

// find_bin finds the first of n merged bins at which the running mass, from above on,
// reaches need. It leaves the bin, the mass before it and its mass in st.
__device__ void find_bin(state & st, const row & r, int n, u64 above, u64 need) {
    if (warp_id() == 0) {
        int p = 0;
        for (; p + 1 < r.peers && above + *peer(&st.slice, p) < need; p++) {
            above += *peer(&st.slice, p);
        }
        const state * owner = peer(&st, p);
        const int     size  = slice_size(r, n);
        const int     to    = min(n, (p + 1) * size);
        for (int b = p * size; b < to; b += 32) {
            const u64      m   = b + lane_id() < to ? read_bin(owner, b + lane_id()) : 0;
            const u64      sum = warp_scan(m);
            const unsigned hit = __ballot_sync(kAll, above + sum >= need);
            if (hit != 0) {
                if (lane_id() == __ffs((int) hit) - 1) {
                    st.found       = b + lane_id();
                    st.found_above = above + sum - m;
                    st.found_mass  = m;
                }
                break;
            }
            above += __shfl_sync(kAll, sum, 31);
        }
    }
    cluster_sync();  // and so nobody clears bins that a peer still reads
}

// --- weigh and narrow ---

__device__ void weigh(state & st, const row & r) {
    clear_bins(st, kBuckets);
#pragma unroll 2
    for (int i = r.from + lane_id(); i - lane_id() < r.to; i += 32) {
        const double   d  = depth(r.s, i < r.to ? r.x[i] : -INFINITY);
        const bool     in = has_mass(d);
        double         rest;
        const unsigned bucket = split(in ? d : 0, rest);
        add(st, bucket, mass(r.s, bucket, rest), in);
    }
    merge_bins(st, r, kBuckets);
}

// lowest_key returns the order of the smallest logit in buckets 0 to bucket, by a
// search in steps of 32 probes. All lanes of a warp call it.
__device__ unsigned lowest_key(const scale & s, unsigned bucket) {
    unsigned lo = order(-FLT_MAX), hi = order((float) s.top);
    while (lo < hi) {
        const unsigned step  = (hi - lo) / 32 + 1;
        const unsigned probe = lo + min(lane_id() * step, hi - lo);
        const double   d     = depth(s, unorder(probe));
        double         rest;
        const unsigned in   = __ballot_sync(kAll, has_mass(d) && split(d, rest) <= bucket);
        const int      good = in == 0 ? 32 : __ffs((int) in) - 1;
        if (good > 0) {
            lo = __shfl_sync(kAll, probe, good - 1) + 1;
        }
        if (good < 32) {
            hi = __shfl_sync(kAll, probe, good);
        }
    }
    return hi;
}

// bucket_range publishes the range of logits in a bucket as st.lo and st.hi.
__device__ void bucket_range(state & st, const row & r, unsigned bucket) {
    if (warp_id() == 0) {
        const unsigned lo = lowest_key(r.s, bucket);
        if (lane_id() == 0) {
            st.lo = lo;
        }
    } else if (warp_id() == 1) {
        const unsigned hi = bucket == 0 ? order((float) r.s.top) : lowest_key(r.s, bucket - 1) - 1;
        if (lane_id() == 0) {
            st.hi = hi;
        }
    }
    __syncthreads();
}

// weigh_range sums the masses of the logits from lo to hi, by parts of 1 << shift.
__device__ void weigh_range(state & st, const row & r, unsigned lo, unsigned hi, unsigned shift, int n) {
    clear_bins(st, n);
#pragma unroll 2
    for (int i = r.from + lane_id(); i - lane_id() < r.to; i += 32) {
        const float    v  = i < r.to ? r.x[i] : -INFINITY;
        const unsigned k  = order(v);
        const bool     in = k - lo <= hi - lo;
        if (__ballot_sync(kAll, in) != 0) {
            const u64 m = in ? mass_of(r.s, v) : 0;
            add(st, (hi - k) >> shift, m, in);
        }
    }
    merge_bins(st, r, n);
}

// end_of_nucleus finds the cut of the nucleus of mass need.
__device__ cut end_of_nucleus(state & st, const row & r, u64 need) {
    find_bin(st, r, kBuckets, 0, need);
    u64 above = st.found_above;
    bucket_range(st, r, st.found);
    unsigned lo = st.lo, hi = st.hi;
    if (above + st.found_mass == need) {  // always so without truncation
        return cut{lo - 1, 0, 0, need};
    }
    while (lo < hi) {
        const unsigned bits  = 32 - __clz((int) (hi - lo));
        const unsigned shift = bits > kPartBits ? bits - kPartBits : 0;
        const int      n     = (int) ((hi - lo) >> shift) + 1;
        weigh_range(st, r, lo, hi, shift, n);
        find_bin(st, r, n, above, need);
        above = st.found_above;
        hi -= st.found << shift;
        lo = hi - min(hi - lo, (1u << shift) - 1);
    }
    const u64      one  = mass_of(r.s, unorder(hi));
    const unsigned ties = (unsigned) ((need - above + one - 1) / one);
    return cut{hi, ties, one, above + ties * one};
}

// --- draw ---

__device__ inline u64 kept(u64 mass, unsigned ties, const cut & c) {
    return mass + c.tie_mass * min(ties, c.ties);
}

__device__ inline share share_of(const row & r, const cut & c, float v, bool in) {
    const unsigned k    = order(v);
    const bool     keep = in && k > c.key;
    return share{keep ? mass_of(r.s, v) : 0, keep, in && k == c.key};
}

__device__ share sum_up(const row & r, const cut & c, int from, int to, int step) {
    share sum = {0, 0, 0};
#pragma unroll 4
    for (int i = from; i < to; i += step) {
        const share one = share_of(r, c, r.x[i], true);
        sum.mass += one.mass;
        sum.size += one.size;
        sum.ties += one.ties;
    }
    return sum;
}

__device__ share warp_share(share s) {
    return share{warp_sum(s.mass), __reduce_add_sync(kAll, s.size), __reduce_add_sync(kAll, s.ties)};
}

// count publishes the shares of the warps' pieces and of the block.
__device__ void count(state & st, const row & r, const cut & c) {
    const share s = warp_share(sum_up(r, c, r.from + lane_id(), r.to, 32));
    if (lane_id() == 0) {
        st.warps[warp_id()] = s;
    }
    __syncthreads();
    if (warp_id() == 0) {
        const share all = warp_share(lane_id() < kWarps ? st.warps[lane_id()] : share{0, 0, 0});
        if (lane_id() == 0) {
            st.mine = all;
        }
    }
    cluster_sync();
}

// before is how much lies before a place in the row.
struct before {
    u64      mass;
    unsigned ties;
};

// cross returns the first lane with whose share the running mass exceeds goal and
// moves b up to it; or it returns -1 and moves b past all lanes.
__device__ int cross(const share & mine, before & b, const cut & c, u64 goal) {
    const u64      m    = warp_scan(mine.mass);
    const unsigned t    = warp_scan(mine.ties);
    const unsigned hit  = __ballot_sync(kAll, kept(b.mass + m, b.ties + t, c) > goal);
    const int      lane = hit != 0 ? __ffs((int) hit) - 1 : 31;
    b.mass += __shfl_sync(kAll, hit != 0 ? m - mine.mass : m, lane);
    b.ties += __shfl_sync(kAll, hit != 0 ? t - mine.ties : t, lane);
    return hit != 0 ? lane : -1;
}

__device__ inline int piece_size(int n) { return (n + kThreads - 1) / kThreads * 32; }

// token_at finds the token in this block's part at which the running mass, from b on,
// exceeds goal: the warp's piece, a lane's run in it, the token. One warp calls it.
__device__ int token_at(const state & st, const row & r, before b, const cut & c, u64 goal) {
    const int piece = piece_size(r.n);
    const int w     = cross(lane_id() < kWarps ? st.warps[lane_id()] : share{0, 0, 0}, b, c, goal);
    const int from  = w * piece;
    const int to    = min(r.n, from + piece);
    const int run   = piece / 32;
    const int mine  = from + lane_id() * run;
    const int lane  = cross(sum_up(r, c, mine, min(to, mine + run), 1), b, c, goal);
    const int end   = min(to, from + (lane + 1) * run);
    for (int i = from + lane * run; i < end; i += 32) {
        const bool in  = i + lane_id() < end;
        const int  hit = cross(share_of(r, c, in ? r.x[i + lane_id()] : -INFINITY, in), b, c, goal);
        if (hit >= 0) {
            return i + hit;
        }
    }
    return -1;  // unreachable: the goal lies below the kept mass
}

__device__ void draw(state & st, const row & r, const cut & c, const pp_draw & d, u64 total, pp_choice * out) {
    count(st, r, c);
    if (warp_id() == 0) {
        before   b    = {0, 0};
        unsigned size = c.ties;
        for (unsigned p = 0; p < (unsigned) r.peers; p++) {
            const share s = *peer(&st.mine, p);
            size += s.size;
            if (p < r.rank) {
                b.mass += s.mass;
                b.ties += s.ties;
            }
        }
        const u64  goal = __umul64hi(uniform(d.seed, d.prompt, d.completion, d.position), c.kept);
        const bool here = kept(b.mass, b.ties, c) <= goal && goal < kept(b.mass + st.mine.mass, b.ties + st.mine.ties, c);
        if (here) {
            const int token = token_at(st, r, b, c, goal);
            if (lane_id() == 0) {
                const double ln2 = 0x1.62e42fefa39efp-1;
                const double far = __dmul_rn(depth(r.s, r.x[token]), ln2 / kPerOctave);
                *out = pp_choice{0 - (far + log(__dmul_rn((double) total, 0x1p-44))), (double) c.kept / (double) total,
                                 r.base + token, (int) size, PP_SAMPLE_OK, -1};
            }
        }
    }
}

// greedy takes the lowest id with the largest logit.
__device__ void greedy(state & st, const row & r, float top, pp_choice * out) {
    unsigned first = kAll;
    for (int i = r.from + lane_id(); i < r.to; i += 32) {
        if (r.x[i] == top) {
            first = min(first, (unsigned) (r.base + i));
        }
    }
    atomicMin(&st.first, first);
    cluster_sync();
    if (r.rank == 0 && threadIdx.x == 0) {
        for (int p = 0; p < r.peers; p++) {
            first = min(first, *peer(&st.first, p));
        }
        *out = pp_choice{0, 1, (int) first, 1, PP_SAMPLE_OK, -1};
    }
}

__device__ inline bool valid(const pp_draw & d) {
    return d.temperature >= 0 && d.temperature <= FLT_MAX && d.top_p >= 0 && d.top_p <= 1;
}

// refuse writes a choice without a token.
__device__ void refuse(const row & r, int error, int bad, pp_choice * out) {
    if (r.rank == 0 && threadIdx.x == 0) {
        *out = pp_choice{0, 0, -1, 0, error, bad};
    }
}

template <bool kStays> __device__ void sample_row(const launch_args & a, const pp_draw & d, state & st, float * copy,
                                                  pp_choice * out) {
    row r;
    r.rank  = cluster_rank();
    r.peers = a.peers;
    r.base  = min(a.n_vocab, (int) r.rank * a.part);
    r.n     = min(a.n_vocab - r.base, a.part);
    r.x     = a.logits + d.row * a.stride + r.base;
    r.from  = min(r.n, warp_id() * piece_size(r.n));
    r.to    = min(r.n, r.from + piece_size(r.n));
    if (threadIdx.x < kPerOctave) {
        st.exp2[threadIdx.x] = exp2_table[threadIdx.x];
    }
    if (threadIdx.x == 0) {
        st.top = 0;
        st.bad = st.first = kAll;
    }
    __syncthreads();
    load<kStays>(st, r, copy);
    if (kStays) {
        r.x = copy;
    }
    const float top = unorder(st.row_top);
    if (st.row_bad != kAll) {
        return refuse(r, PP_SAMPLE_LOGITS, (int) st.row_bad, out);
    }
    if (!(top >= -FLT_MAX)) {
        return refuse(r, PP_SAMPLE_EMPTY, -1, out);
    }
    if (d.temperature == 0) {
        return greedy(st, r, top, out);
    }
    r.s = scale{(double) top, 0x1.71547652b82fep5 / (double) d.temperature, st.exp2};
    weigh(st, r);
    const u64 total = total_mass(st, r);
    const cut c     = end_of_nucleus(st, r, nucleus_mass(d.top_p, total));
    draw(st, r, c, d, total, out);
}

template <bool kStays> __global__ void __launch_bounds__(kThreads) sample_kernel(launch_args a) {
    PP_SHARED(shared);
    state &       st  = *reinterpret_cast<state *>(shared);
    float *       copy = reinterpret_cast<float *>(shared + (sizeof(state) + 15) / 16 * 16);
    const int     i   = (int) blockIdx.x / a.peers;
    const pp_draw d   = a.draws[i];
    pp_choice *   out = a.out + i;
    if (d.row < 0 || !valid(d)) {
        row r;
        r.rank = cluster_rank();
        refuse(r, d.row < 0 ? PP_SAMPLE_OK : PP_SAMPLE_PARAMS, -1, out);
        return;
    }
    sample_row<kStays>(a, d, st, copy, out);
    cluster_sync();  // a block's shared memory goes with it, and peers may be reading
}

int attribute(cudaDeviceAttr attr) {
    int device = 0, value = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&value, attr, device);
    return value;
}

}  // namespace

size_t pp_sample_workspace(int, int) { return 0; }

int pp_sample(const float * logits, int64_t row_stride, int n_vocab, const pp_draw * draws, int n_draws,
              pp_choice * out, void *, cudaStream_t stream) {
    if (n_vocab < 1 || n_vocab > PP_SAMPLE_MAX_VOCAB || n_draws < 0) {
        return cudaErrorInvalidValue;
    }
    if (n_draws == 0) {
        return cudaSuccess;
    }
    launch_args a;
    a.logits  = logits;
    a.stride  = row_stride;
    a.n_vocab = n_vocab;
    a.peers   = attribute(cudaDevAttrClusterLaunch) ? PP_SAMPLE_CLUSTER : 1;
    a.part    = ((n_vocab + a.peers - 1) / a.peers + 3) / 4 * 4;
    a.draws   = draws;
    a.out     = out;

    const size_t   fixed = (sizeof(state) + 15) / 16 * 16;
    const size_t   whole = fixed + a.part * sizeof(float);
    const unsigned grid  = (unsigned) (n_draws * a.peers);
    const unsigned peers = (unsigned) a.peers;
    if (whole <= (size_t) attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin)) {
        return launch(sample_kernel<true>, grid, peers, kThreads, whole, stream, a);
    }
    return launch(sample_kernel<false>, grid, peers, kThreads, fixed, stream, a);
}
