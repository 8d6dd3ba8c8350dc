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

// list_marked lists the tokens that the lanes have marked in eight steps from one on: bit
// 4·k + c of mark stands for the token c of the quad in step j + k. size is how many
// the warp has marked before, and grows.
__device__ inline void list_marked(state & st, unsigned mark, int j, unsigned & size) {
    if (__ballot_sync(kAll, mark != 0) == 0) {
        return;
    }
    const unsigned mine = (unsigned)__popc(mark);
    const unsigned upto = size + warp_scan(mine);
    for (unsigned at = upto - mine; mark != 0 && at < (unsigned)kList; at++) {
        const int bit           = __ffs((int)mark) - 1;
        st.lists[warp_id()][at] = (unsigned short)(128 * (j + bit / 4) + 4 * lane_id() + bit % 4);
        mark &= mark - 1;
    }
    size = __shfl_sync(kAll, upto, 31);
}

// keep_values puts the logits of the listed tokens beside them.
__device__ inline void keep_values(state & st, const row & r, unsigned size) {
    __syncwarp();
    for (int i = lane_id(); i < (int)min(size, (unsigned)kList); i += 32) {
        st.values[warp_id()][i] = r.x[r.from + st.lists[warp_id()][i]];
    }
    if (lane_id() == 0) {
        st.listed[warp_id()] = size;
    }
    __syncwarp();
}

// each_marked calls f with the logit of every token of the warp's in the bracket, one
// per lane at a time; in tells which lanes have one. If there are too many for the
// list, the piece is read again.
template <bool kQuads, typename F> __device__ void each_marked(const state & st, const row & r, F f) {
    const int size = (int)st.listed[warp_id()];
    if (size <= kList) {
        for (int i = lane_id(); i - lane_id() < size; i += 32) {
            f(i < size ? st.values[warp_id()][i] : -INFINITY, i < size);
        }
        return;
    }
    stream<kQuads, 1>(r).each(r, [&](const float4 & v, int) {
#pragma unroll 1
        for (int c = 0; c < 4; c++) {
            const float one = c == 0 ? v.x : c == 1 ? v.y : c == 2 ? v.z : v.w;
            f(one, one >= st.lo && !(one > st.hi));
        }
    });
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

// parts_mass is the mass in the parts i and i+1.
__device__ inline two parts_mass(const bins & b, int i) {
    return two{ ((u64)b.high[i] << 32) + b.low[i], ((u64)b.high[i + 1] << 32) + b.low[i + 1] };
}

// weigh_range sums the masses of the marked tokens in a range by part. A lane adds up
// tokens of one part that follow one another, and computes the mass of equal logits
// once: in rows of ties nearly all do.
template <bool kQuads> __device__ void weigh_range(const state & st, const row & r, bins & parts, const range & g) {
    float    last = INFINITY; // no logit is
    unsigned part = 0;
    u64      one = 0, sum = 0; // of last; of the tokens not yet added to part
    each_marked<kQuads>(st, r, [&](float v, bool in) {
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

// sum_parts completes the sums by part.
__device__ void sum_parts(bins & parts, const range & g) {
    __syncthreads();
    sum_chunks(parts.chunks, g.n, [&](int i) { return parts_mass(parts, i); });
    __syncthreads();
}

// weigh_row sums up the masses of the lane's tokens and lists those in the bracket.
template <bool kQuads> __device__ sums weigh_row(state & st, const row & r, stream<kQuads, 1> & in) {
    const bracket k     = { st.lo, st.hi, r.s.exp2->high[lane_id()], r.s.exp2->low[lane_id()] };
    sums          sum   = { 0, 0, 0 };
    unsigned      size  = 0;
    unsigned      mark  = 0;
    u64           total = 0, above = 0; // of up to 32 tokens
    in.each(r, [&](const float4 & v, int j) {
        mark >>= 4;
        mark |= weigh_token(r.s, k, v.x, total, above) ? 1u << 28 : 0;
        mark |= weigh_token(r.s, k, v.y, total, above) ? 1u << 29 : 0;
        mark |= weigh_token(r.s, k, v.z, total, above) ? 1u << 30 : 0;
        mark |= weigh_token(r.s, k, v.w, total, above) ? 1u << 31 : 0;
        if (j % 8 == 7 || j + 1 == r.steps) {
            const int end = j % 8 + 1;
            list_marked(st, mark >> (32 - 4 * end), j + 1 - end, size);
            sum.total += total - (unsigned)(4 * end) * kNoMass;
            sum.above += above & (kUnit - 1);
            sum.size += (unsigned)(above / kUnit) * kInverse % 4096;
            mark  = 0;
            total = above = 0;
        }
    });
    keep_values(st, r, size);
    return sum;
}

// weigh sums up the row: st.warp_totals has the masses by warp, st.warps what of them lies
// above the bracket g, parts what lies in it.
template <bool kQuads> __device__ void weigh(state & st, const row & r, stream<kQuads, 1> & in, const range & g) {
    const sums  sum   = weigh_row(st, r, in);
    const u64   total = warp_sum(sum.total);
    const share above = { warp_sum(sum.above), __reduce_add_sync(kAll, sum.size), 0 };
    if (lane_id() == 0) {
        st.warps[warp_id()]       = above;
        st.warp_totals[warp_id()] = total;
    }
    weigh_range<kQuads>(st, r, st.parts[0], g);
    sum_parts(st.parts[0], g);
}

// find_part finds the part of a range in which the mass reaches need, from above on,
// and broadcasts it.
__device__ void find_part(state & st, const bins & parts, const range & g, u64 above, u64 need) {
    if (warp_id() == 0) {
        const place    p = seek(chunk_of(parts.chunks, g.n), above, need, [&](int i) { return parts_mass(parts, i); });
        const unsigned hit = __ballot_sync(kAll, p.bin != kAll);
        if (lane_id() == (hit != 0 ? __ffs((int)hit) - 1 : 0)) {
            st.found = p;
        }
    }
    __syncthreads();
}

// weigh_bracket weighs the row and broadcasts its total, the mass that the nucleus
// needs and, if it ends in the bracket g, in which part.
template <bool kQuads>
__device__ void weigh_bracket(state & st, const row & r, stream<kQuads, 1> & in, float top_p, const range & g) {
    weigh(st, r, in, g);
    const bool valid = lane_id() < kWarps;
    const u64  total = warp_sum(valid ? st.warp_totals[lane_id()] : 0);
    const u64  above = warp_sum(valid ? st.warps[lane_id()].mass : 0);
    const u64  need  = nucleus_mass(top_p, total);
    if (threadIdx.x == 0) {
        st.total = total;
        st.need  = need;
    }
    find_part(st, st.parts[0], g, above, need);
}

// narrow finds the cut in the part st.found of the range g.
template <bool kQuads> __device__ cut narrow(state & st, const row & r, range g) {
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
        weigh_range<kQuads>(st, r, st.parts[turn], g);
        sum_parts(st.parts[turn], g);
        find_part(st, st.parts[turn], g, p.above, need);
    }
}

// end_of_nucleus finds the cut of the nucleus, and leaves the row's total in st. The
// bracket is in st, and in reads the row.
template <bool kQuads> __device__ cut end_of_nucleus(state & st, const row & r, stream<kQuads, 1> & in, float top_p) {
    const bool whole = is_whole(top_p);
    range      g     = whole ? range{ order(INFINITY), order(-INFINITY), 0, 0 } : divide(order(st.lo), order(st.hi));
    weigh_bracket(st, r, in, top_p, g);
    if (whole) {
        return cut{ 0, 0, 0, st.need };
    }
    if (st.found.bin == kAll) { // a bad bracket: all logits are the next one
        __syncthreads();
        if (threadIdx.x == 0) {
            st.lo = -FLT_MAX;
            st.hi = (float)r.s.top;
        }
        clear(st.parts[0]);
        __syncthreads();
        g = divide(order(st.lo), order(st.hi));
        stream<kQuads, 1> again(r);
        weigh_bracket(st, r, again, top_p, g);
    }
    return narrow<kQuads>(st, r, g);
}

} // namespace

#endif
