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

#include "sample_nucleus.cuh"

namespace {

struct launch_args {
    const float *   logits;
    int64_t         stride;
    int             n_vocab;
    int             part; // tokens per block
    int             peers;
    const pp_draw * draws;
    pp_choice *     out;
};

// --- load ---

__device__ inline void look(float v, float & top, bool & bad) {
    top = fmaxf(top, v);
    bad = bad || !(v <= FLT_MAX);
}

// first_bad is the first bad logit among those a thread loads.
__device__ unsigned first_bad(const row & r, int quads) {
    for (int i = (int)threadIdx.x; i < r.n; i += kThreads) {
        const int from = i < quads ? 4 * i : i + 3 * quads;
        const int to   = i < quads ? from + 4 : from + 1;
        for (int k = from; k < min(to, r.n); k++) {
            if (!(r.x[k] <= FLT_MAX)) {
                return (unsigned)(r.base + k);
            }
        }
    }
    return kAll;
}

// load reads the block's part, copies it to shared memory if it is to stay there,
// padded with -Inf, and returns the largest logit and the first bad one of the row.
template <bool kStays>
__device__ void load(state & st, const row & r, float * copy, unsigned & row_top, unsigned & row_bad) {
    float         top    = -INFINITY;
    bool          bad    = false;
    const int     tid    = (int)threadIdx.x;
    const int     quads  = ((uintptr_t)r.x & 15) == 0 ? r.n / 4 : 0;
    auto          src    = reinterpret_cast<const float4 *>(r.x);
    auto          dst    = reinterpret_cast<float4 *>(copy);
    constexpr int kBatch = 5; // loads in flight per thread
    for (int i = tid; i < quads; i += kBatch * kThreads) {
        float4 v[kBatch];
#pragma unroll
        for (int k = 0; k < kBatch; k++) {
            v[k] = i + k * kThreads < quads ? src[i + k * kThreads]
                                            : make_float4(-INFINITY, -INFINITY, -INFINITY, -INFINITY);
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

// --- draw ---

__device__ inline u64 kept(u64 mass, unsigned ties, const cut & c) { return mass + c.tie_mass * min(ties, c.ties); }

__device__ inline share share_of(const row & r, const cut & c, float v, bool in) {
    const unsigned k    = order(v);
    const bool     keep = in && k > c.key && has_mass(depth(r.s, v));
    return share{ keep ? mass_of(r.s, v) : 0, keep, in && k == c.key };
}

__device__ inline void add(share & sum, const share & one) {
    sum.mass += one.mass;
    sum.size += one.size;
    sum.ties += one.ties;
}

__device__ share warp_share(share s) {
    return share{ warp_sum(s.mass), __reduce_add_sync(kAll, s.size), __reduce_add_sync(kAll, s.ties) };
}

// count adds what is kept of the bracket to the shares of the warps' pieces and
// publishes that of the block.
__device__ void count(state & st, const row & r, const unsigned * marks, const cut & c) {
    share sum = { 0, 0, 0 };
    each_marked(st, r, marks, [&](int i, bool in) { add(sum, share_of(r, c, in ? r.x[i] : -INFINITY, in)); });
    sum = warp_share(sum);
    if (lane_id() == 0) {
        add(st.warps[warp_id()], sum);
    }
    __syncthreads();
    if (warp_id() == 0) {
        const share all = warp_share(lane_id() < kWarps ? st.warps[lane_id()] : share{ 0, 0, 0 });
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
    const int      lane = hit != 0 ? __ffs((int)hit) - 1 : 31;
    b.mass += __shfl_sync(kAll, hit != 0 ? m - mine.mass : m, lane);
    b.ties += __shfl_sync(kAll, hit != 0 ? t - mine.ties : t, lane);
    return hit != 0 ? lane : -1;
}

// run_share is the share of a run of tokens.
__device__ share run_share(const row & r, const cut & c, int from, int to) {
    share sum = { 0, 0, 0 };
#pragma unroll 4
    for (int i = from; i < to; i++) {
        add(sum, share_of(r, c, r.x[i], true));
    }
    return sum;
}

// token_at finds the token in this block's part at which the running mass, from b on,
// exceeds goal: the warp's piece, a lane's run in it, the token. One warp calls it.
__device__ int token_at(const state & st, const row & r, before b, const cut & c, u64 goal) {
    const int run  = 4 * r.span;
    const int w    = cross(lane_id() < kWarps ? st.warps[lane_id()] : share{ 0, 0, 0 }, b, c, goal);
    const int from = w * 32 * run;
    const int mine = from + lane_id() * run;
    const int lane = cross(run_share(r, c, mine, min(r.n, mine + run)), b, c, goal);
    const int end  = min(r.n, from + (lane + 1) * run);
    for (int i = from + lane * run; i < end; i += 32) {
        const bool in  = i + lane_id() < end;
        const int  hit = cross(share_of(r, c, in ? r.x[i + lane_id()] : -INFINITY, in), b, c, goal);
        if (hit >= 0) {
            return i + hit;
        }
    }
    return -1; // unreachable: the goal lies below the kept mass
}

// choose writes the choice of a token, with size tokens in the nucleus.
__device__ void choose(const row & r, const cut & c, u64 total, int token, unsigned size, pp_choice * out) {
    const double ln2 = 0x1.62e42fefa39efp-1;
    const double far = __dmul_rn(depth(r.s, r.x[token]), ln2 / kPerOctave);
    *out             = pp_choice{ 0 - (far + log(__dmul_rn((double)total, 0x1p-44))),
                      (double)c.kept / (double)total,
                      r.base + token,
                      (int)size,
                      PP_SAMPLE_OK,
                      -1 };
}

__device__ void draw(state & st, const row & r, const unsigned * marks, const cut & c, const pp_draw & d,
                     pp_choice * out) {
    count(st, r, marks, c);
    before   b    = { 0, 0 };
    unsigned size = c.ties;
    if (warp_id() == 0) {
        for (unsigned p = 0; p < (unsigned)kPeers; p++) {
            const share s = *peer(&st.mine, p);
            size += s.size;
            if (p < r.rank) {
                b.mass += s.mass;
                b.ties += s.ties;
            }
        }
    }
    cluster_sync(); // peers have read all that they read here
    if (warp_id() == 0) {
        const u64  goal = __umul64hi(uniform(d.seed, d.prompt, d.completion, d.position), c.kept);
        const bool here =
            kept(b.mass, b.ties, c) <= goal && goal < kept(b.mass + st.mine.mass, b.ties + st.mine.ties, c);
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
    for (int i = (int)threadIdx.x; i < r.n; i += kThreads) {
        if (r.x[i] == top) {
            first = min(first, (unsigned)(r.base + i));
        }
    }
    atomicMin(&st.first, first);
    cluster_sync();
    if (r.rank == 0 && threadIdx.x == 0) {
        for (int p = 0; p < kPeers; p++) {
            first = min(first, *peer(&st.first, p));
        }
        *out = pp_choice{ 0, 1, (int)first, 1, PP_SAMPLE_OK, -1 };
    }
}

__device__ inline bool valid(const pp_draw & d) {
    return d.temperature >= 0 && d.temperature <= FLT_MAX && d.top_p >= 0 && d.top_p <= 1;
}

// refuse writes a choice without a token.
__device__ void refuse(const row & r, int error, int bad, pp_choice * out) {
    if (r.rank == 0 && threadIdx.x == 0) {
        *out = pp_choice{ 0, 0, -1, 0, error, bad };
    }
}

// prepare sets up the state before the first cluster_sync.
__device__ void prepare(state & st) {
    for (int b = (int)threadIdx.x; b < kBuckets; b += kThreads) {
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
__device__ void sample_row(const launch_args & a, const pp_draw & d, state & st, unsigned * marks, float * copy,
                           pp_choice * out) {
    row r;
    r.rank  = cluster_rank();
    r.part  = a.part;
    r.base  = min(a.n_vocab, (int)r.rank * a.part);
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
        refuse(r, PP_SAMPLE_LOGITS, (int)bad, out);
    } else if (!(top >= -FLT_MAX)) {
        refuse(r, PP_SAMPLE_EMPTY, -1, out);
    } else if (d.temperature == 0) {
        greedy(st, r, top, out);
    } else {
        r.s         = scale{ (double)top, 0x1.71547652b82fep5 / (double)d.temperature, &st.exp2 };
        const cut c = end_of_nucleus<kStays>(st, r, marks, d.top_p);
        return draw(st, r, marks, c, d, out);
    }
    cluster_sync(); // a block's shared memory goes with it, and peers may be reading
}

template <bool kStays> __global__ void __launch_bounds__(kThreads, kMinBlocks) sample_kernel(launch_args a) {
    PP_SHARED(shared);
    state &       st    = *reinterpret_cast<state *>(shared);
    float *       copy  = reinterpret_cast<float *>(shared + (sizeof(state) + 15) / 16 * 16);
    unsigned *    marks = reinterpret_cast<unsigned *>(copy + (kStays ? padded(a.part) : 0));
    const int     i     = (int)blockIdx.x / a.peers;
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

} // namespace

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
    const unsigned grid  = (unsigned)(n_draws * a.peers);
    const unsigned peers = (unsigned)a.peers;
    if (whole <= (size_t)attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin)) {
        return launch(sample_kernel<true>, grid, peers, kThreads, whole, stream, a);
    }
    return launch(sample_kernel<false>, grid, peers, kThreads, fixed, stream, a);
}
