// The exact masses of a row, and where its nucleus ends.

#ifndef PERSONAPROBE_SAMPLE_NUCLEUS_CUH
#define PERSONAPROBE_SAMPLE_NUCLEUS_CUH

#include "sample_sketch.cuh"

namespace {

// cut is where the nucleus ends: it holds the tokens with mass whose order is above
// key, and the first ties of those at key.
struct cut {
    unsigned key;
    unsigned ties;
    u64      tie_mass; // of one
    u64      kept;     // of the nucleus
};

// sums is what a lane knows of its tokens.
struct sums {
    u64      total, above;
    unsigned size; // tokens above the bracket
};

// bracket is what weigh_token compares with, and the lane's entry of powers.
struct bracket {
    float    lo, hi;
    unsigned high, low;
};

constexpr u64      kDeepest = 0x4096ull << 48; // 1408, kBuckets - 1, as a float64's bits
constexpr u64      kUnit    = 1ull << 52;
constexpr unsigned kInverse = 1787; // of 0x433, kNoMass's high bits, modulo 4096
static_assert(0x433u * kInverse % 4096 == 1, "how many kNoMass have a sum of high bits");

// weigh_token adds the mass_bits of a token, kNoMass if it has no mass, to total, and to
// above if it lies above the bracket. It returns whether the token lies in it.
__device__ inline bool weigh_token(const scale & s, const bracket & k, float v, u64 & total, u64 & above) {
    u64        far = (u64)__double_as_longlong(depth(s, v));
    const bool in  = far <= kDeepest;
    if (!in) {
        far = (far & 0xffffffffu) | (0x40970000ull << 32); // from 1472 on: 2^-2, and rounded 0
    }
    double         rest;
    const unsigned bucket = split(__longlong_as_double((long long)far), rest);
    const unsigned high   = __shfl_sync(kAll, k.high, (int)bucket);
    const unsigned low    = __shfl_sync(kAll, k.low, (int)bucket);
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
        unsigned       mark = marks[j / 8 * kThreads + (int)threadIdx.x];
        const unsigned mine = (unsigned)__popc(mark);
        const unsigned upto = size + warp_scan(mine);
        for (unsigned at = upto - mine; mark != 0 && at < (unsigned)kList; at++) {
            const int bit = __ffs((int)mark) - 1;
            list[at]      = (unsigned short)(4 * (lane_id() + 32 * (j + bit / 4)) + bit % 4);
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
    const bool     listed = size <= (unsigned)kList;
    const int      first  = 4 * (r.quad - lane_id()); // the warp's first token
    unsigned       mark   = 0;
    for (int next = 0;;) { // in the list, or in steps
        bool in;
        int  i;
        if (listed) {
            if (next >= (int)size) {
                return;
            }
            in = next + lane_id() < (int)size;
            i  = in ? st.lists[warp_id()][next + lane_id()] : 0;
            next += 32;
        } else {
            while (__ballot_sync(kAll, mark != 0) == 0) {
                if (next >= r.steps) {
                    return;
                }
                mark = marks[next / 8 * kThreads + (int)threadIdx.x];
                next += 8;
            }
            const int bit = mark != 0 ? __ffs((int)mark) - 1 : 0;
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
    const int      bits  = 32 - __clz((int)(hi - lo));
    const unsigned shift = bits > kPartBits ? (unsigned)(bits - kPartBits) : 0;
    return range{ lo, hi, shift, (int)((hi - lo) >> shift) + 1 };
}

// weigh_range sums the masses of the marked tokens in a range by part. A lane adds up
// tokens of one part that follow one another, and computes the mass of equal logits
// once: in rows of ties nearly all do.
__device__ void weigh_range(const state & st, const row & r, const unsigned * marks, bins & parts, const range & g) {
    float    last = INFINITY; // no logit is
    unsigned part = 0;
    u64      one = 0, sum = 0; // of last; of the tokens not yet added to part
    each_marked(st, r, marks, [&](int i, bool in) {
        const float    v = in ? r.x[i] : -INFINITY;
        const unsigned k = order(v);
        in               = in && k - g.lo <= g.hi - g.lo;
        if (in && v != last) {
            last = v;
            one  = has_mass(depth(r.s, v)) ? mass_of(r.s, v) : 0;
        }
        const unsigned at    = (g.hi - k) >> g.shift;
        const bool     other = in && at != part;
        if (__ballot_sync(kAll, other && sum != 0) != 0) {
            add(parts, part, sum, other && sum != 0);
        }
        sum  = (other ? 0 : sum) + (in ? one : 0);
        part = other ? at : part;
    });
    if (__ballot_sync(kAll, sum != 0) != 0) {
        add(parts, part, sum, sum != 0);
    }
}

// publish_parts makes the sums by part those of the cluster's blocks.
__device__ void publish_parts(bins & parts, const range & g) {
    __syncthreads();
    sum_chunks(parts.chunks, g.n, [&](int i) { return parts_mass<1>(parts, i); });
}

// weigh_row marks the tokens in the bracket and sums up the masses of the lane's.
template <bool kStays> __device__ sums weigh_row(const row & r, unsigned * marks, float lo, float hi) {
    const bracket k   = { lo, hi, r.s.exp2->high[lane_id()], r.s.exp2->low[lane_id()] };
    sums          sum = { 0, 0, 0 };
    for (int j = 0; j < r.steps; j += 8) {
        unsigned  mark  = 0;
        u64       total = 0, above = 0; // of up to 32 tokens
        const int end = min(8, r.steps - j);
#pragma unroll 1
        for (int q = r.quad + 32 * j; q < r.quad + 32 * (j + end); q += 32) {
            const float4 v = quad<kStays>(r, q);
            mark >>= 4;
            mark |= weigh_token(r.s, k, v.x, total, above) ? 1u << 28 : 0;
            mark |= weigh_token(r.s, k, v.y, total, above) ? 1u << 29 : 0;
            mark |= weigh_token(r.s, k, v.z, total, above) ? 1u << 30 : 0;
            mark |= weigh_token(r.s, k, v.w, total, above) ? 1u << 31 : 0;
        }
        marks[j / 8 * kThreads + (int)threadIdx.x] = mark >> (32 - 4 * end);
        sum.total += total - (unsigned)(4 * end) * kNoMass;
        sum.above += above & (kUnit - 1);
        sum.size += (unsigned)(above / kUnit) * kInverse % 4096;
    }
    return sum;
}

// weigh sums up the row: st.warps has what lies above the bracket g by warp, parts the
// masses in it.
template <bool kStays> __device__ void weigh(state & st, const row & r, unsigned * marks, const range & g) {
    const sums  sum   = weigh_row<kStays>(r, marks, unorder(g.lo), unorder(g.hi));
    const u64   total = warp_sum(sum.total);
    const share above = { warp_sum(sum.above), __reduce_add_sync(kAll, sum.size), 0 };
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
    const place p = seek(merged(parts.chunks, g.n), above, need, [&](int i) { return parts_mass<kPeers>(parts, i); });
    const unsigned hit = __ballot_sync(kAll, p.bin != kAll);
    if (lane_id() == (hit != 0 ? __ffs((int)hit) - 1 : 0)) {
        st.found = p;
    }
}

// weigh_bracket weighs the row and broadcasts its total, the mass that the nucleus
// needs and, if it ends in the bracket g, in which part.
template <bool kStays>
__device__ void weigh_bracket(state & st, const row & r, unsigned * marks, float top_p, const range & g) {
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
            return cut{ lo - 1, 0, 0, need };
        }
        if (lo == hi) {
            const u64      one  = mass_of(r.s, unorder(hi));
            const unsigned ties = (unsigned)((need - p.above + one - 1) / one);
            return cut{ hi, ties, one, p.above + ties * one };
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
    const bool whole = top_p == 0 || top_p == 1; // the nucleus is all that has mass
    range      g     = { order(INFINITY), order(-INFINITY), 0, 0 };
    if (!whole) {
        sketch<kStays>(st, r, top_p);
        g = divide(order(st.lo), order(st.hi));
    }
    for (;;) {
        weigh_bracket<kStays>(st, r, marks, top_p, g);
        if (whole) {
            return cut{ 0, 0, 0, st.need };
        }
        if (st.found.bin != kAll) {
            return narrow(st, r, marks, g);
        }
        cluster_sync(); // peers have read what is written next
        clear(st.parts[0]);
        __syncthreads();
        g = divide(order(-FLT_MAX), order((float)r.s.top));
    }
}

} // namespace

#endif
