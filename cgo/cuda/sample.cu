// One cluster of blocks samples one row. Each block reads its part of the row once
// and keeps it in shared memory; later passes read it there. With exact integer
// masses, sums may be taken in any order:
//
//   load     the largest logit of the row, and whether all are valid
//   sketch   roughly, in float32, the mass in each whole depth, and from it a bracket
//            of logits in which the nucleus should end
//   weigh    the exact masses of all tokens and of those above the bracket. If the
//            nucleus does not end in the bracket, all logits become the bracket and the
//            row is weighed again.
//   narrow   the part of 1024 of the bracket in which the nucleus ends, then of that,
//            and so on down to one logit; see Sampler.narrow
//   draw     the piece, then the token, at which the running mass exceeds the goal
//
// Loops around warp intrinsics run the same number of times in all lanes.

#include "sample_block.cuh"

namespace {

struct launch_args {
    const float *   logits;
    int64_t         stride;
    int             n_vocab;
    int             part;  // tokens per block
    int             peers;
    const pp_draw * draws;
    pp_choice *     out;
};

// steps is how many quads of a part a lane has.
__host__ __device__ inline int steps(int part) { return (part / 4 + kThreads - 1) / kThreads; }

// padded is the size of a part whose last quads make up a whole step.
__host__ __device__ inline int padded(int part) { return (part + 127) / 128 * 128; }

// cut is where the nucleus ends: it holds the tokens with mass whose order is above
// key, and the first ties of those at key.
struct cut {
    unsigned key;
    unsigned ties;
    u64      tie_mass;  // of one
    u64      kept;      // of the nucleus
};

// --- load ---

__device__ inline void look(float v, float & top, bool & bad) {
    top = fmaxf(top, v);
    bad = bad || !(v <= FLT_MAX);
}

// first_bad is the first bad logit among those a thread loads.
__device__ unsigned first_bad(const row & r, int quads) {
    for (int i = (int) threadIdx.x; i < r.n; i += kThreads) {
        const int from = i < quads ? 4 * i : i + 3 * quads;
        const int to   = i < quads ? from + 4 : from + 1;
        for (int k = from; k < min(to, r.n); k++) {
            if (!(r.x[k] <= FLT_MAX)) {
                return (unsigned) (r.base + k);
            }
        }
    }
    return kAll;
}

// load reads the block's part, copies it to shared memory if it is to stay there,
// padded with -Inf, and returns the largest logit and the first bad one of the row.
template <bool kStays> __device__ void load(state & st, const row & r, float * copy, unsigned & row_top, unsigned & row_bad) {
    float     top     = -INFINITY;
    bool      bad     = false;
    const int tid     = (int) threadIdx.x;
    const int quads   = ((uintptr_t) r.x & 15) == 0 ? r.n / 4 : 0;
    auto      src     = reinterpret_cast<const float4 *>(r.x);
    auto      dst     = reinterpret_cast<float4 *>(copy);
    constexpr int kBatch = 5;  // loads in flight per thread
    for (int i = tid; i < quads; i += kBatch * kThreads) {
        float4 v[kBatch];
#pragma unroll
        for (int k = 0; k < kBatch; k++) {
            v[k] = i + k * kThreads < quads ? src[i + k * kThreads] : make_float4(-INFINITY, -INFINITY, -INFINITY, -INFINITY);
        }
#pragma unroll
        for (int k = 0; k < kBatch; k++) {
            const int q = i + k * kThreads;
            look(v[k].x, top, bad);
            look(v[k].y, top, bad);
            look(v[k].z, top, bad);
            look(v[k].w, top, bad);
            if (kStays && q < quads) {
                dst[q] = v[k];
            }
        }
    }
    for (int i = 4 * quads + tid; i < padded(r.n); i += kThreads) {
        const float v = i < r.n ? r.x[i] : -INFINITY;
        look(v, top, bad);
        if (kStays) {
            copy[i] = v;
        }
    }
    const unsigned key = __reduce_max_sync(kAll, order(top));
    if (lane_id() == 0) {
        atomicMax(&st.top, key);
    }
    if (bad) {
        atomicMin(&st.bad, first_bad(r, quads));
    }
    cluster_sync();
    const bool valid = lane_id() < kPeers;
    row_top          = __reduce_max_sync(kAll, valid ? *peer(&st.top, lane_id()) : 0);
    row_bad          = __reduce_min_sync(kAll, valid ? *peer(&st.bad, lane_id()) : kAll);
}

// quad returns the logits of a quad of the warp's, -Inf past the end.
template <bool kStays> __device__ inline float4 quad(const row & r, int q) {
    if (kStays) {
        return reinterpret_cast<const float4 *>(r.x)[q];
    }
    const auto at = [&](int i) { return i < r.n ? r.x[i] : -INFINITY; };
    return make_float4(at(4 * q), at(4 * q + 1), at(4 * q + 2), at(4 * q + 3));
}

// --- sketch ---

// A token counts in its bucket as unit·2^(rest/32), the power to first order, so that
// a bucket's sum times the mass in its middle is its mass to 2^-14 or better.
__device__ inline float sketch_unit(const row & r) {
    return exp2f((float) min(20, __clz(r.part) - 1));  // below 2^32 for a whole part
}

__device__ inline void sketch_token(state & st, float top, float rate, float unit, float v) {
    const float    far    = top - v;
    const float    t      = far * rate + 0x1.8p23f;
    const float    rest   = (t - 0x1.8p23f) - far * rate;
    const float    w      = rest * (unit * 0x1.62e43p-6f) + (unit + 0x1p23f);
    const unsigned bucket = min(__float_as_uint(t) - 0x4b400000u, (unsigned) (kBuckets + 1 + lane_id()));
    atomicAdd(&st.sketch[bucket], __float_as_uint(w) - 0x4b000000u);
}

// sketch_mass is the mass in the buckets i and i+1 over all peers, or in this block.
template <int kOf> __device__ inline two sketch_mass(const state & st, int i, double one) {
    if (i >= kBuckets) {
        return two{0, 0};
    }
    const two v = sum_pair(st.sketch + i, kOf);
    return two{__double2ull_rz((double) v.a * (power(st.exp2, (unsigned) i) * one)),
               i + 1 < kBuckets ? __double2ull_rz((double) v.b * (power(st.exp2, (unsigned) i + 1) * one)) : 0};
}

// sketch guesses the bracket in which the nucleus ends: st.lo to st.hi. Nothing depends
// on it but the time, for weigh notices a bad one.
template <bool kStays> __device__ void sketch(state & st, const row & r, float top_p) {
    const float top  = (float) r.s.top;
    const float rate = (float) r.s.rate;
    const float unit = sketch_unit(r);
    if (threadIdx.x == 0) {  // in case that the sketch shows nothing
        st.lo = -FLT_MAX;
        st.hi = top;
    }
#pragma unroll 2
    for (int j = 0; j < r.steps; j++) {
        const float4 v = quad<kStays>(r, r.quad + 32 * j);
        sketch_token(st, top, rate, unit, v.x);
        sketch_token(st, top, rate, unit, v.y);
        sketch_token(st, top, rate, unit, v.z);
        sketch_token(st, top, rate, unit, v.w);
    }
    __syncthreads();
    const double one = 1 / (double) unit;
    sum_chunks(st.sketch_chunks, kBuckets, [&](int i) { return sketch_mass<1>(st, i, one); });
    cluster_sync();
    if (warp_id() < 2) {  // the first finds the upper end of the bracket, the second the lower
        const bool   upper = warp_id() == 0;
        const u64    chunk = merged(st.sketch_chunks, kBuckets);
        const u64    total = warp_sum(chunk);
        const u64    need  = nucleus_mass(top_p, total);
        const u64    error = need >> 13;
        const place  p     = seek(chunk, 0, upper ? need - error : min(total, need + error),
                                  [&](int i) { return sketch_mass<kPeers>(st, i, one); });
        const double slack = 0.5 + 0x1p-6;
        const double depth = upper ? p.bin - slack : p.bin + slack;
        const float  end   = depth < 0 ? top : fmaxf(-FLT_MAX, (float) (r.s.top - depth / r.s.rate));
        if (p.bin != kAll) {
            (upper ? st.hi : st.lo) = end;
        }
    }
    __syncthreads();
}

// --- weigh and narrow ---

// sums is what a lane knows of its tokens.
struct sums {
    u64      total, above;
    unsigned size;  // tokens above the bracket
};

// bracket is what weigh_token compares with, and the lane's entry of powers.
struct bracket {
    float    lo, hi;
    unsigned high, low;
};

constexpr u64      kDeepest = 0x4096ull << 48;  // 1408, kBuckets - 1, as a float64's bits
constexpr u64      kUnit    = 1ull << 52;
constexpr unsigned kInverse = 1787;  // of 0x433, kNoMass's high bits, modulo 4096
static_assert(0x433u * kInverse % 4096 == 1, "how many kNoMass have a sum of high bits");

// weigh_token adds the mass_bits of a token, kNoMass if it has no mass, to total, and to
// above if it lies above the bracket. It returns whether the token lies in it.
__device__ inline bool weigh_token(const scale & s, const bracket & k, float v, u64 & total, u64 & above) {
    u64        far = (u64) __double_as_longlong(depth(s, v));
    const bool in  = far <= kDeepest;
    if (!in) {
        far = (far & 0xffffffffu) | (0x40970000ull << 32);  // from 1472 on: 2^-2, and rounded 0
    }
    double         rest;
    const unsigned bucket = split(__longlong_as_double((long long) far), rest);
    const unsigned high   = __shfl_sync(kAll, k.high, (int) bucket);
    const unsigned low    = __shfl_sync(kAll, k.low, (int) bucket);
    const u64      bits   = mass_bits(power(high, low, bucket), rest);
    total += bits;
    if (in && v > k.hi) {
        above += bits;
    }
    return v >= k.lo && !(v > k.hi);
}

// list_marked lists the warp's marked tokens, if there are few, so that lanes share them
// evenly.
__device__ void list_marked(state & st, const row & r, const unsigned * marks) {
    unsigned short * list = st.lists[warp_id()];
    unsigned         size = 0;
    for (int j = 0; j < r.steps; j += 8) {
        unsigned       mark = marks[j / 8 * kThreads + (int) threadIdx.x];
        const unsigned mine = (unsigned) __popc(mark);
        const unsigned upto = size + warp_scan(mine);
        for (unsigned at = upto - mine; mark != 0 && at < (unsigned) kList; at++) {
            const int bit = __ffs((int) mark) - 1;
            list[at]      = (unsigned short) (4 * (lane_id() + 32 * (j + bit / 4)) + bit % 4);
            mark &= mark - 1;
        }
        size = __shfl_sync(kAll, upto, 31);
    }
    if (lane_id() == 0) {
        st.listed[warp_id()] = size;
    }
    __syncwarp();
}

// each_marked calls f with the index of every marked token of the warp's, one per lane
// at a time; in tells which lanes have one.
template <typename F> __device__ void each_marked(const state & st, const row & r, const unsigned * marks, F f) {
    const unsigned size   = st.listed[warp_id()];
    const bool     listed = size <= (unsigned) kList;
    const int      first  = 4 * (r.quad - lane_id());  // the warp's first token
    unsigned       mark   = 0;
    for (int next = 0;;) {  // in the list, or in steps
        bool in;
        int  i;
        if (listed) {
            if (next >= (int) size) {
                return;
            }
            in = next + lane_id() < (int) size;
            i  = in ? st.lists[warp_id()][next + lane_id()] : 0;
            next += 32;
        } else {
            while (__ballot_sync(kAll, mark != 0) == 0) {
                if (next >= r.steps) {
                    return;
                }
                mark = marks[next / 8 * kThreads + (int) threadIdx.x];
                next += 8;
            }
            const int bit = mark != 0 ? __ffs((int) mark) - 1 : 0;
            in            = mark != 0;
            i             = 4 * (lane_id() + 32 * (next - 8 + bit / 4)) + bit % 4;
            mark &= mark - 1;
        }
        f(first + i, in);
    }
}

// range is a range of logits by order, in parts of 1 << shift.
struct range {
    unsigned lo, hi, shift;
    int      n;
};

__device__ inline range divide(unsigned lo, unsigned hi) {
    const int      bits  = 32 - __clz((int) (hi - lo));
    const unsigned shift = bits > kPartBits ? (unsigned) (bits - kPartBits) : 0;
    return range{lo, hi, shift, (int) ((hi - lo) >> shift) + 1};
}

// weigh_range sums the masses of the marked tokens in a range by part.
__device__ void weigh_range(const state & st, const row & r, const unsigned * marks, bins & parts, const range & g) {
    each_marked(st, r, marks, [&](int i, bool in) {
        const float    v = in ? r.x[i] : -INFINITY;
        const unsigned k = order(v);
        in               = in && k - g.lo <= g.hi - g.lo && has_mass(depth(r.s, v));
        if (__ballot_sync(kAll, in) != 0) {
            add(parts, (g.hi - k) >> g.shift, in ? mass_of(r.s, v) : 0, in);
        }
    });
}

// publish_parts makes the sums by part those of the cluster's blocks.
__device__ void publish_parts(bins & parts, const range & g) {
    __syncthreads();
    sum_chunks(parts.chunks, g.n, [&](int i) { return parts_mass<1>(parts, i); });
}

// weigh_row marks the tokens in the bracket and sums up the masses of the lane's.
template <bool kStays> __device__ sums weigh_row(const row & r, unsigned * marks, float lo, float hi) {
    const bracket k   = {lo, hi, r.s.exp2->high[lane_id()], r.s.exp2->low[lane_id()]};
    sums          sum = {0, 0, 0};
    for (int j = 0; j < r.steps; j += 8) {
        unsigned  mark  = 0;
        u64       total = 0, above = 0;  // of up to 32 tokens
        const int end   = min(8, r.steps - j);
#pragma unroll 1
        for (int q = r.quad + 32 * j; q < r.quad + 32 * (j + end); q += 32) {
            const float4 v = quad<kStays>(r, q);
            mark >>= 4;
            mark |= weigh_token(r.s, k, v.x, total, above) ? 1u << 28 : 0;
            mark |= weigh_token(r.s, k, v.y, total, above) ? 1u << 29 : 0;
            mark |= weigh_token(r.s, k, v.z, total, above) ? 1u << 30 : 0;
            mark |= weigh_token(r.s, k, v.w, total, above) ? 1u << 31 : 0;
        }
        marks[j / 8 * kThreads + (int) threadIdx.x] = mark >> (32 - 4 * end);
        sum.total += total - (unsigned) (4 * end) * kNoMass;
        sum.above += above & (kUnit - 1);
        sum.size += (unsigned) (above / kUnit) * kInverse % 4096;
    }
    return sum;
}

// weigh sums up the row: st.warps has what lies above the bracket g by warp, parts the
// masses in it.
template <bool kStays> __device__ void weigh(state & st, const row & r, unsigned * marks, const range & g) {
    const sums  sum   = weigh_row<kStays>(r, marks, unorder(g.lo), unorder(g.hi));
    const u64   total = warp_sum(sum.total);
    const share above = {warp_sum(sum.above), __reduce_add_sync(kAll, sum.size), 0};
    if (lane_id() == 0) {
        st.warps[warp_id()]       = above;
        st.warp_totals[warp_id()] = total;
    }
    list_marked(st, r, marks);
    weigh_range(st, r, marks, st.parts[0], g);
    publish_parts(st.parts[0], g);
    if (warp_id() == kWarps - 1) {
        const bool valid     = lane_id() < kWarps;
        const u64  total_all = warp_sum(valid ? st.warp_totals[lane_id()] : 0);
        const u64  above_all = warp_sum(valid ? st.warps[lane_id()].mass : 0);
        if (lane_id() == 0) {
            st.total = total_all;
            st.above = above_all;
        }
    }
    cluster_sync();
}

// find_part finds the part of a range in which the mass reaches need, from above on,
// and broadcasts it. Warp 0 calls it.
__device__ void find_part(state & st, const bins & parts, const range & g, u64 above, u64 need) {
    const place    p   = seek(merged(parts.chunks, g.n), above, need, [&](int i) { return parts_mass<kPeers>(parts, i); });
    const unsigned hit = __ballot_sync(kAll, p.bin != kAll);
    if (lane_id() == (hit != 0 ? __ffs((int) hit) - 1 : 0)) {
        st.found = p;
    }
}

// weigh_bracket weighs the row and broadcasts its total, the mass that the nucleus
// needs and, if it ends in the bracket g, in which part.
template <bool kStays> __device__ void weigh_bracket(state & st, const row & r, unsigned * marks, float top_p, const range & g) {
    weigh<kStays>(st, r, marks, g);
    if (warp_id() == 0) {
        const bool valid = lane_id() < kPeers;
        const u64  total = warp_sum(valid ? *peer(&st.total, lane_id()) : 0);
        const u64  above = warp_sum(valid ? *peer(&st.above, lane_id()) : 0);
        const u64  need  = nucleus_mass(top_p, total);
        if (lane_id() == 0) {
            st.row_total = total;
            st.need      = need;
        }
        find_part(st, st.parts[0], g, above, need);
    }
    __syncthreads();
}

// narrow finds the cut in the part st.found of the range g.
__device__ cut narrow(state & st, const row & r, const unsigned * marks, range g) {
    const u64 need = st.need;
    for (int turn = 1;; turn = 1 - turn) {
        const place    p  = st.found;
        const unsigned hi = g.hi - (p.bin << g.shift);
        const unsigned lo = hi - min(hi - g.lo, (1u << g.shift) - 1);
        if (p.above + p.mass == need) {
            return cut{lo - 1, 0, 0, need};
        }
        if (lo == hi) {
            const u64      one  = mass_of(r.s, unorder(hi));
            const unsigned ties = (unsigned) ((need - p.above + one - 1) / one);
            return cut{hi, ties, one, p.above + ties * one};
        }
        g = divide(lo, hi);
        clear(st.parts[turn]);
        __syncthreads();
        weigh_range(st, r, marks, st.parts[turn], g);
        publish_parts(st.parts[turn], g);
        cluster_sync();
        if (warp_id() == 0) {
            find_part(st, st.parts[turn], g, p.above, need);
        }
        __syncthreads();
    }
}

// end_of_nucleus finds the cut of the nucleus, and leaves the row's total in st.
template <bool kStays> __device__ cut end_of_nucleus(state & st, const row & r, unsigned * marks, float top_p) {
    const bool whole = top_p == 0 || top_p == 1;  // the nucleus is all that has mass
    range      g     = {order(INFINITY), order(-INFINITY), 0, 0};
    if (!whole) {
        sketch<kStays>(st, r, top_p);
        g = divide(order(st.lo), order(st.hi));
    }
    for (;;) {
        weigh_bracket<kStays>(st, r, marks, top_p, g);
        if (whole) {
            return cut{0, 0, 0, st.need};
        }
        if (st.found.bin != kAll) {
            return narrow(st, r, marks, g);
        }
        cluster_sync();  // peers have read what is written next
        clear(st.parts[0]);
        __syncthreads();
        g = divide(order(-FLT_MAX), order((float) r.s.top));
    }
}

// --- draw ---

__device__ inline u64 kept(u64 mass, unsigned ties, const cut & c) {
    return mass + c.tie_mass * min(ties, c.ties);
}

__device__ inline share share_of(const row & r, const cut & c, float v, bool in) {
    const unsigned k    = order(v);
    const bool     keep = in && k > c.key && has_mass(depth(r.s, v));
    return share{keep ? mass_of(r.s, v) : 0, keep, in && k == c.key};
}

__device__ inline void add(share & sum, const share & one) {
    sum.mass += one.mass;
    sum.size += one.size;
    sum.ties += one.ties;
}

__device__ share warp_share(share s) {
    return share{warp_sum(s.mass), __reduce_add_sync(kAll, s.size), __reduce_add_sync(kAll, s.ties)};
}

// count adds what is kept of the bracket to the shares of the warps' pieces and
// publishes that of the block.
__device__ void count(state & st, const row & r, const unsigned * marks, const cut & c) {
    share sum = {0, 0, 0};
    each_marked(st, r, marks, [&](int i, bool in) { add(sum, share_of(r, c, in ? r.x[i] : -INFINITY, in)); });
    sum = warp_share(sum);
    if (lane_id() == 0) {
        add(st.warps[warp_id()], sum);
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

// run_share is the share of a run of tokens.
__device__ share run_share(const row & r, const cut & c, int from, int to) {
    share sum = {0, 0, 0};
#pragma unroll 4
    for (int i = from; i < to; i++) {
        add(sum, share_of(r, c, r.x[i], true));
    }
    return sum;
}

// token_at finds the token in this block's part at which the running mass, from b on,
// exceeds goal: the warp's piece, a lane's run in it, the token. One warp calls it.
__device__ int token_at(const state & st, const row & r, before b, const cut & c, u64 goal) {
    const int run   = 4 * r.span;
    const int w     = cross(lane_id() < kWarps ? st.warps[lane_id()] : share{0, 0, 0}, b, c, goal);
    const int from  = w * 32 * run;
    const int mine  = from + lane_id() * run;
    const int lane  = cross(run_share(r, c, mine, min(r.n, mine + run)), b, c, goal);
    const int end   = min(r.n, from + (lane + 1) * run);
    for (int i = from + lane * run; i < end; i += 32) {
        const bool in  = i + lane_id() < end;
        const int  hit = cross(share_of(r, c, in ? r.x[i + lane_id()] : -INFINITY, in), b, c, goal);
        if (hit >= 0) {
            return i + hit;
        }
    }
    return -1;  // unreachable: the goal lies below the kept mass
}

// choose writes the choice of a token, with size tokens in the nucleus.
__device__ void choose(const row & r, const cut & c, u64 total, int token, unsigned size, pp_choice * out) {
    const double ln2 = 0x1.62e42fefa39efp-1;
    const double far = __dmul_rn(depth(r.s, r.x[token]), ln2 / kPerOctave);
    *out = pp_choice{0 - (far + log(__dmul_rn((double) total, 0x1p-44))), (double) c.kept / (double) total,
                     r.base + token, (int) size, PP_SAMPLE_OK, -1};
}

__device__ void draw(state & st, const row & r, const unsigned * marks, const cut & c, const pp_draw & d, pp_choice * out) {
    count(st, r, marks, c);
    before   b    = {0, 0};
    unsigned size = c.ties;
    if (warp_id() == 0) {
        for (unsigned p = 0; p < (unsigned) kPeers; p++) {
            const share s = *peer(&st.mine, p);
            size += s.size;
            if (p < r.rank) {
                b.mass += s.mass;
                b.ties += s.ties;
            }
        }
    }
    cluster_sync();  // peers have read all that they read here
    if (warp_id() == 0) {
        const u64  goal = __umul64hi(uniform(d.seed, d.prompt, d.completion, d.position), c.kept);
        const bool here = kept(b.mass, b.ties, c) <= goal && goal < kept(b.mass + st.mine.mass, b.ties + st.mine.ties, c);
        if (here) {
            const int token = token_at(st, r, b, c, goal);
            if (lane_id() == 0) {
                choose(r, c, st.row_total, token, size, out);
            }
        }
    }
}

// greedy takes the lowest id with the largest logit.
__device__ void greedy(state & st, const row & r, float top, pp_choice * out) {
    unsigned first = kAll;
    for (int i = (int) threadIdx.x; i < r.n; i += kThreads) {
        if (r.x[i] == top) {
            first = min(first, (unsigned) (r.base + i));
        }
    }
    atomicMin(&st.first, first);
    cluster_sync();
    if (r.rank == 0 && threadIdx.x == 0) {
        for (int p = 0; p < kPeers; p++) {
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

// prepare sets up the state before the first cluster_sync.
__device__ void prepare(state & st) {
    for (int b = (int) threadIdx.x; b < kBuckets; b += kThreads) {
        st.sketch[b] = 0;
    }
    clear(st.parts[0]);
    if (threadIdx.x < kPerOctave) {
        fill_power(st.exp2, threadIdx.x);
    }
    if (threadIdx.x == 0) {
        st.top = 0;
        st.bad = st.first = kAll;
    }
    __syncthreads();
}

template <bool kStays>
__device__ void sample_row(const launch_args & a, const pp_draw & d, state & st, unsigned * marks, float * copy, pp_choice * out) {
    row r;
    r.rank  = cluster_rank();
    r.part  = a.part;
    r.base  = min(a.n_vocab, (int) r.rank * a.part);
    r.n     = min(a.n_vocab - r.base, a.part);
    r.x     = a.logits + d.row * a.stride + r.base;
    r.span  = steps(a.part);
    r.quad  = warp_id() * 32 * r.span + lane_id();
    r.steps = max(0, min(r.span, (padded(r.n) / 4 - (r.quad - lane_id())) / 32));
    prepare(st);
    unsigned top_key, bad;
    load<kStays>(st, r, copy, top_key, bad);
    if (kStays) {
        r.x = copy;
    }
    const float top = unorder(top_key);
    if (bad != kAll) {
        refuse(r, PP_SAMPLE_LOGITS, (int) bad, out);
    } else if (!(top >= -FLT_MAX)) {
        refuse(r, PP_SAMPLE_EMPTY, -1, out);
    } else if (d.temperature == 0) {
        __syncthreads();
        greedy(st, r, top, out);
    } else {
        r.s = scale{(double) top, 0x1.71547652b82fep5 / (double) d.temperature, &st.exp2};
        const cut c = end_of_nucleus<kStays>(st, r, marks, d.top_p);
        return draw(st, r, marks, c, d, out);
    }
    cluster_sync();  // a block's shared memory goes with it, and peers may be reading
}

template <bool kStays> __global__ void __launch_bounds__(kThreads, kMinBlocks) sample_kernel(launch_args a) {
    PP_SHARED(shared);
    state &       st    = *reinterpret_cast<state *>(shared);
    float *       copy  = reinterpret_cast<float *>(shared + (sizeof(state) + 15) / 16 * 16);
    unsigned *    marks = reinterpret_cast<unsigned *>(copy + (kStays ? padded(a.part) : 0));
    const int     i     = (int) blockIdx.x / a.peers;
    const pp_draw d     = a.draws[i];
    pp_choice *   out   = a.out + i;
    if (d.row < 0 || !valid(d)) {
        row r;
        r.rank = cluster_rank();
        return refuse(r, d.row < 0 ? PP_SAMPLE_OK : PP_SAMPLE_PARAMS, -1, out);
    }
    sample_row<kStays>(a, d, st, marks, copy, out);
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

    const size_t   fixed = (sizeof(state) + 15) / 16 * 16 + (steps(a.part) + 7) / 8 * kThreads * sizeof(unsigned);
    const size_t   whole = fixed + padded(a.part) * sizeof(float);
    const unsigned grid  = (unsigned) (n_draws * a.peers);
    const unsigned peers = (unsigned) a.peers;
    if (whole <= (size_t) attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin)) {
        return launch(sample_kernel<true>, grid, peers, kThreads, whole, stream, a);
    }
    return launch(sample_kernel<false>, grid, peers, kThreads, fixed, stream, a);
}
