// The token that a draw falls on.

#ifndef PERSONAPROBE_SAMPLE_DRAW_CUH
#define PERSONAPROBE_SAMPLE_DRAW_CUH

#include "sample_nucleus.cuh"

namespace {

__device__ inline u64 kept(u64 mass, unsigned ties, const cut & c) { return mass + c.tie_mass * min(ties, c.ties); }

__device__ inline void add(share & sum, const share & one) {
    sum.mass += one.mass;
    sum.size += one.size;
    sum.ties += one.ties;
}

__device__ inline share share_of(const row & r, const cut & c, float v, bool in) {
    const unsigned k    = order(v);
    const bool     keep = in && k > c.key && has_mass(depth(r.s, v));
    return share{ keep ? mass_of(r.s, v) : 0, keep, in && k == c.key };
}

__device__ inline share share_of(const row & r, const cut & c, const float4 & v) {
    share sum = share_of(r, c, v.x, true);
    add(sum, share_of(r, c, v.y, true));
    add(sum, share_of(r, c, v.z, true));
    add(sum, share_of(r, c, v.w, true));
    return sum;
}

__device__ share warp_share(share s) {
    return share{ warp_sum(s.mass), __reduce_add_sync(kAll, s.size), __reduce_add_sync(kAll, s.ties) };
}

// cross returns the first lane with whose share the running mass exceeds goal and
// moves b up to it; or it returns -1 and moves b past all lanes.
__device__ int cross(const share & mine, before & b, const cut & c, u64 goal) {
    const u64      m    = warp_scan(mine.mass);
    const unsigned t    = warp_scan(mine.ties);
    const unsigned hit  = __ballot_sync(kAll, kept(b.mass + m, b.ties + t, c) > goal);
    const int      lane = hit != 0 ? __ffs((int)hit) - 1 : 31;
    b.mass += __shfl_sync(kAll, hit != 0 ? m - mine.mass : m, lane);
    b.ties += __shfl_sync(kAll, hit != 0 ? t - mine.ties : t, lane);
    return hit != 0 ? lane : -1;
}

// find_piece completes the shares of the warps' pieces by what is kept of the bracket,
// and broadcasts the piece in which the running mass exceeds goal and the nucleus's size.
template <bool kQuads> __device__ void find_piece(state & st, const row & r, const cut & c, u64 goal) {
    share sum = { 0, 0, 0 };
    each_marked<kQuads>(st, r, [&](float v, bool in) { add(sum, share_of(r, c, v, in)); });
    sum = warp_share(sum);
    if (lane_id() == 0) {
        add(st.warps[warp_id()], sum);
    }
    __syncthreads();
    if (warp_id() == 0) {
        const share    mine = lane_id() < kWarps ? st.warps[lane_id()] : share{ 0, 0, 0 };
        before         b    = { 0, 0 };
        const int      w    = cross(mine, b, c, goal);
        const unsigned size = __reduce_add_sync(kAll, mine.size);
        if (lane_id() == 0) {
            st.piece = w;
            st.upto  = b;
            st.size  = size + c.ties;
        }
    }
    __syncthreads();
}

// choose writes the choice of a token.
__device__ void choose(const state & st, const row & r, const cut & c, int token, pp_choice * out) {
    const double ln2 = 0x1.62e42fefa39efp-1;
    const double far = __dmul_rn(depth(r.s, r.x[token]), ln2 / kPerOctave);
    *out             = pp_choice{ 0 - (far + log(__dmul_rn((double)st.total, 0x1p-44))),
                      (double)c.kept / (double)st.total,
                      token,
                      (int)st.size,
                      PP_SAMPLE_OK,
                      -1 };
}

// draw finds the token at which the running mass exceeds the draw's goal: the warp's
// piece, the part of it, the lane's quad, the token.
template <bool kQuads>
__device__ void draw(state & st, const row & r, const cut & c, const pp_draw & d, pp_choice * out) {
    const u64 goal = __umul64hi(uniform(d.seed, d.prompt, d.completion, d.position), c.kept);
    find_piece<kQuads>(st, r, c, goal);
    const int  parts = (r.span + kWarps - 1) / kWarps; // steps of a part
    const int  from  = 128 * r.span * st.piece;
    const int  end   = min(r.n, from + 128 * r.span);
    const auto read  = [&](int step) {
        const int i = from + 128 * step + 4 * lane_id();
        return quad<kQuads>(r.x + i, end - i);
    };
    share sum = { 0, 0, 0 };
    for (int j = 0; j < parts; j++) {
        add(sum, share_of(r, c, read(warp_id() * parts + j)));
    }
    sum = warp_share(sum);
    if (lane_id() == 0) {
        st.within[warp_id()] = sum;
    }
    __syncthreads();
    if (warp_id() != 0) {
        return;
    }
    before    b    = st.upto;
    const int part = cross(lane_id() < kWarps ? st.within[lane_id()] : share{ 0, 0, 0 }, b, c, goal);
    for (int j = part * parts;; j++) { // ends in the part, which the goal lies in
        const float4 v    = read(j);
        const int    lane = cross(share_of(r, c, v), b, c, goal);
        if (lane != lane_id()) {
            if (lane >= 0) {
                return;
            }
            continue;
        }
        const int   i    = from + 128 * j + 4 * lane;
        const float x[4] = { v.x, v.y, v.z, v.w };
#pragma unroll
        for (int k = 0; k < 4; k++) {
            const share one = share_of(r, c, x[k], true);
            b.mass += one.mass;
            b.ties += one.ties;
            if (kept(b.mass, b.ties, c) > goal) {
                return choose(st, r, c, i + k, out);
            }
        }
    }
}

} // namespace

#endif
