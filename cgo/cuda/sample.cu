// One block samples one row, which it reads twice:
//
//   look     the largest logit of the row, and whether all are valid; and roughly, in
//            float32, the mass in each whole depth, from which it guesses a bracket
//            of logits in which the nucleus should end
//   weigh    the exact masses of all tokens and of those above the bracket. If the
//            nucleus does not end in the bracket, all logits become the bracket and the
//            row is weighed again.
//   narrow   the part of 1024 of the bracket in which the nucleus ends, then of that,
//            and so on down to one logit; see Sampler.narrow
//   draw     the piece, then the token, at which the running mass exceeds the goal
//
// Masses are whole numbers, so sums may be taken in any order. Loops around warp
// intrinsics run the same number of times in all lanes.

#include "sample_draw.cuh"

namespace {

struct launch_args {
    const float *   logits;
    int64_t         stride;
    int             n_vocab;
    const pp_draw * draws;
    pp_choice *     out;
};

// --- look ---

// extremes is what a lane has seen.
struct extremes {
    float top = -INFINITY;
    bool  bad = false;
};

__device__ inline void look(extremes & e, float v) {
    e.top = fmaxf(e.top, v);
    e.bad = e.bad || !(v <= FLT_MAX);
}

__device__ inline void look(extremes & e, const float4 & v) {
    look(e, v.x);
    look(e, v.y);
    look(e, v.z);
    look(e, v.w);
}

// reference broadcasts the largest logit of the pieces' first steps.
__device__ float reference(state & st, const float4 & first) {
    extremes e;
    look(e, first);
    const unsigned key = __reduce_max_sync(kAll, order(e.top));
    if (lane_id() == 0) {
        atomicMax(&st.reference, key);
    }
    __syncthreads();
    return unorder(st.reference);
}

// look_at_row leaves the row's extremes in st, and a sketch if one is wanted.
template <bool kQuads> __device__ view look_at_row(state & st, const row & r, bool sketches) {
    extremes          e;
    stream<kQuads, 4> in(r);
    const view        w = make_view(r, reference(st, in.next[0]));
    if (sketches) {
        in.each(r, [&](const float4 & v, int) {
            look(e, v);
            sketch_quad(st, w, v);
        });
    } else {
        in.each(r, [&](const float4 & v, int) { look(e, v); });
    }
    const unsigned key = __reduce_max_sync(kAll, order(e.top));
    if (lane_id() == 0) {
        atomicMax(&st.top, key);
    }
    if (e.bad) { // rare: then look again for the first one
        for (int j = r.steps - 1; j >= 0; j--) {
            const int i = r.from + 128 * j + 4 * lane_id();
            for (int k = min(i + 4, r.n) - 1; k >= i; k--) {
                if (!(r.x[k] <= FLT_MAX)) {
                    atomicMin(&st.bad, (unsigned)k);
                }
            }
        }
    }
    return w;
}

// --- results without a draw ---

// greedy takes the lowest id with the largest logit.
__device__ void greedy(state & st, const row & r, float top, pp_choice * out) {
    unsigned first = kAll;
    for (int i = (int)threadIdx.x; i < r.n; i += kThreads) {
        if (r.x[i] == top) {
            first = min(first, (unsigned)i);
        }
    }
    atomicMin(&st.first, first);
    __syncthreads();
    if (threadIdx.x == 0) {
        *out = pp_choice{ 0, 1, (int)st.first, 1, PP_SAMPLE_OK, -1 };
    }
}

__device__ inline bool valid(const pp_draw & d) {
    return d.temperature >= 0 && d.temperature <= FLT_MAX && d.top_p >= 0 && d.top_p <= 1;
}

// refuse writes a choice without a token.
__device__ void refuse(int error, int bad, pp_choice * out) {
    if (threadIdx.x == 0) {
        *out = pp_choice{ 0, 0, -1, 0, error, bad };
    }
}

// --- a row ---

__device__ void prepare(state & st) {
    clear_sketch(st);
    clear(st.parts[0]);
    if (threadIdx.x < kPerOctave) {
        fill_power(st.exp2, threadIdx.x);
    }
    if (threadIdx.x == 0) {
        st.top = st.reference = 0;
        st.bad = st.first = kAll;
        st.lo             = INFINITY; // the bracket of a nucleus that is all that has mass
        st.hi             = -INFINITY;
    }
    __syncthreads();
}

__device__ row make_row(const launch_args & a, const pp_draw & d, const state & st) {
    row r;
    r.x     = a.logits + d.row * a.stride;
    r.n     = a.n_vocab;
    r.span  = (r.n + 128 * kWarps - 1) / (128 * kWarps);
    r.from  = min(r.n, warp_id() * 128 * r.span);
    r.steps = min(r.span, (r.n - r.from + 127) / 128);
    r.s     = scale{ 0, 0x1.71547652b82fep5 / (double)d.temperature, &st.exp2 };
    return r;
}

template <bool kQuads>
__device__ void sample_row(const launch_args & a, const pp_draw & d, state & st, pp_choice * out) {
    row               r      = make_row(a, d, st);
    const bool        greeds = d.temperature == 0, whole = is_whole(d.top_p);
    const view        w = look_at_row<kQuads>(st, r, !greeds && !whole);
    stream<kQuads, 1> again(r); // under way while the bracket is sought
    __syncthreads();
    const float top = unorder(st.top);
    if (st.bad != kAll) {
        return refuse(PP_SAMPLE_LOGITS, (int)st.bad, out);
    }
    if (!(top >= -FLT_MAX)) {
        return refuse(PP_SAMPLE_EMPTY, -1, out);
    }
    if (greeds) {
        return greedy(st, r, top, out);
    }
    r.s.top = (double)top;
    if (!whole) {
        guess_bracket<kQuads>(st, r, w, d.top_p);
    }
    draw<kQuads>(st, r, end_of_nucleus(st, r, again, d.top_p), d, out);
}

template <bool kQuads> __global__ void __launch_bounds__(kThreads, 2) sample_kernel(launch_args a) {
    PP_SHARED(shared);
    state &       st  = *reinterpret_cast<state *>(shared);
    const pp_draw d   = a.draws[blockIdx.x];
    pp_choice *   out = a.out + blockIdx.x;
    if (d.row < 0 || !valid(d)) {
        return refuse(d.row < 0 ? PP_SAMPLE_OK : PP_SAMPLE_PARAMS, -1, out);
    }
    prepare(st);
    sample_row<kQuads>(a, d, st, out);
}

} // namespace

int pp_sample(const float * logits, int64_t row_stride, int n_vocab, const pp_draw * draws, int n_draws,
              pp_choice * out, cudaStream_t stream) {
    if (n_vocab < 1 || n_vocab > kMaxVocab || n_draws < 0) {
        return cudaErrorInvalidValue;
    }
    if (n_draws == 0) {
        return cudaSuccess;
    }
    const launch_args a     = { logits, row_stride, n_vocab, draws, out };
    const bool        quads = ((uintptr_t)logits & 15) == 0 && row_stride % 4 == 0 && n_vocab % 4 == 0;
    return launch(quads ? sample_kernel<true> : sample_kernel<false>, (unsigned)n_draws, kThreads, sizeof(state),
                  stream, a);
}
