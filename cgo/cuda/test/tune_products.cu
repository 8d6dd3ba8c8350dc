// Finds the algorithms of tuned.cuh: for each product of a step, cuBLASLt's heuristics and
// every tile and cluster that the first one's kind of algorithm has are timed, and the
// fastest take turns on a device that is hot by then. What a kernel reaches in a burst
// says little where power limits the clock.
//
//   tune_products ROWS [HIDDEN FFN HEADS KV_HEADS HEAD_DIM VOCABULARY]   (default: Qwen2.5-7B)

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "../gemm.cuh"
#include "../noise.cuh"

namespace {

constexpr int    finalists = 6;
constexpr int    rounds    = 8;
constexpr double turn_us = 120e3, warm_us = 1.5e6;

void need(bool ok, const char * what) {
    if (!ok) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

template <typename T> T * room(size_t n) {
    void * p = nullptr;
    need(cudaMalloc(&p, n * sizeof(T)) == cudaSuccess, "cudaMalloc");
    need(cudaMemset(p, 0, n * sizeof(T)) == cudaSuccess, "cudaMemset");
    return (T *)p;
}

// randomize fills with sums of four uniform numbers, about normal.
__global__ void randomize(__nv_bfloat16 * p, size_t n, unsigned seed) {
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < n; i += (size_t)gridDim.x * blockDim.x) {
        float sum = 0;
        for (unsigned k = 0; k < 4; k++) {
            sum += noise(((unsigned)i + seed) * 2654435761u + k * 0x9e3779b9u);
        }
        p[i] = __float2bfloat16_rn(sum);
    }
}

struct candidate {
    cublasLtMatmulAlgo_t algo;
    bool                 first = false; // heuristic
    double               burst = 0, hot = 0, n = 0;
};

template <typename T> T get(const cublasLtMatmulAlgo_t & a, cublasLtMatmulAlgoConfigAttributes_t name) {
    T      value = 0;
    size_t got   = 0;
    cublasLtMatmulAlgoConfigGetAttribute(&a, name, &value, sizeof value, &got);
    return value;
}

template <typename T> void set(cublasLtMatmulAlgo_t & a, cublasLtMatmulAlgoConfigAttributes_t name, T value) {
    cublasLtMatmulAlgoConfigSetAttribute(&a, name, &value, sizeof value);
}

// product is one of a step: out (B, N) = x (B, K) times w (N, K) transposed.
struct product {
    const char * name;
    int          n, k;
    bool         full, adds; // float32 out, and added to it
};

struct bench {
    cublasLtHandle_t handle = nullptr;
    cudaStream_t     stream = nullptr;
    cudaEvent_t      from = nullptr, to = nullptr;
    __nv_bfloat16 *  w = nullptr, *x = nullptr;
    void *           out = nullptr, *workspace = nullptr;
    size_t           weights = 0; // elements of w

    cublasLtMatmulDesc_t   op = nullptr;
    cublasLtMatrixLayout_t lw = nullptr, lx = nullptr, lo = nullptr;
    product                p{};

    void describe(const product & q, int b) {
        const cublasOperation_t t = CUBLAS_OP_T;
        p                         = q;
        need(cublasLtMatmulDescCreate(&op, CUBLAS_COMPUTE_32F, CUDA_R_32F) == 0, "description");
        need(cublasLtMatmulDescSetAttribute(op, CUBLASLT_MATMUL_DESC_TRANSA, &t, sizeof t) == 0, "transposition");
        need(cublasLtMatrixLayoutCreate(&lw, CUDA_R_16BF, p.k, p.n, p.k) == 0, "layout");
        need(cublasLtMatrixLayoutCreate(&lx, CUDA_R_16BF, p.k, b, p.k) == 0, "layout");
        need(cublasLtMatrixLayoutCreate(&lo, p.full ? CUDA_R_32F : CUDA_R_16BF, p.n, b, p.n) == 0, "layout");
    }

    // time is the microseconds of a product, each with other weights than the last ones; or -1.
    double time(const cublasLtMatmulAlgo_t & algo, int turns) {
        const float  one = 1, beta = p.adds ? 1 : 0;
        const size_t each   = (size_t)p.n * p.k;
        const int    copies = (int)std::max<size_t>(1, weights / each);
        for (int i = -1; i < turns; i++) {
            if (i == 0) {
                cudaEventRecord(from, stream);
            }
            if (cublasLtMatmul(handle, op, &one, w + (i + 1) % copies * each, lw, x, lx, &beta, out, lo, out, lo, &algo,
                               workspace, nv::workspace_bytes, stream) != CUBLAS_STATUS_SUCCESS) {
                return -1;
            }
        }
        cudaEventRecord(to, stream);
        need(cudaStreamSynchronize(stream) == cudaSuccess, "a product");
        float ms = 0;
        cudaEventElapsedTime(&ms, from, to);
        return ms * 1e3 / turns;
    }

    std::vector<candidate> candidates() {
        cublasLtMatmulPreference_t pref = nullptr;
        need(cublasLtMatmulPreferenceCreate(&pref) == 0, "preference");
        cublasLtMatmulPreferenceSetAttribute(pref, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &nv::workspace_bytes,
                                             sizeof nv::workspace_bytes);
        cublasLtMatmulHeuristicResult_t h[16];
        int                             found = 0;
        need(cublasLtMatmulAlgoGetHeuristic(handle, op, lw, lx, lo, lo, pref, 16, h, &found) == 0 && found > 0,
             "heuristic");
        cublasLtMatmulPreferenceDestroy(pref);
        std::vector<candidate> all;
        for (int i = 0; i < found; i++) {
            all.push_back({ h[i].algo, i == 0 });
        }
        cublasLtMatmulAlgo_t base;
        const auto           type = p.full ? CUDA_R_32F : CUDA_R_16BF;
        const int            id   = get<int>(h[0].algo, CUBLASLT_ALGO_CONFIG_ID);
        need(cublasLtMatmulAlgoInit(handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_16BF, CUDA_R_16BF, type, type, id,
                                    &base) == 0,
             "algorithm");
        set(base, CUBLASLT_ALGO_CONFIG_STAGES_ID, get<int>(h[0].algo, CUBLASLT_ALGO_CONFIG_STAGES_ID));
        int    tiles[2048];
        size_t bytes = 0;
        cublasLtMatmulAlgoCapGetAttribute(&base, CUBLASLT_ALGO_CAP_TILE_IDS, tiles, sizeof tiles, &bytes);
        for (size_t i = 0; i < bytes / sizeof *tiles; i++) {
            for (uint16_t cluster = CUBLASLT_CLUSTER_SHAPE_1x1x1; cluster <= CUBLASLT_CLUSTER_SHAPE_1x4x1; cluster++) {
                cublasLtMatmulAlgo_t            algo = base;
                cublasLtMatmulHeuristicResult_t result;
                set(algo, CUBLASLT_ALGO_CONFIG_TILE_ID, tiles[i]);
                set(algo, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, cluster);
                if (cublasLtMatmulAlgoCheck(handle, op, lw, lx, lo, lo, &algo, &result) == 0 &&
                    result.workspaceSize <= nv::workspace_bytes) {
                    all.push_back({ algo });
                }
            }
        }
        return all;
    }

    void run(const product & q, int b) {
        describe(q, b);
        std::vector<candidate> all = candidates();
        const size_t           n   = all.size();
        for (int turn = 0; turn < 2; turn++) { // the better of two: what runs first runs cold
            for (candidate & c : all) {
                const double us = time(c.algo, 5);
                c.burst         = turn == 0 || us < 0 ? us : std::min(c.burst, us);
            }
        }
        all.erase(std::remove_if(all.begin(), all.end(), [](const candidate & c) { return c.burst < 0; }), all.end());
        std::stable_sort(all.begin(), all.end(),
                         [](const candidate & x, const candidate & y) { return x.burst < y.burst; });
        std::vector<candidate> last;
        for (const candidate & c : all) {
            if (last.size() < finalists || c.first) {
                last.push_back(c);
            }
        }
        for (double us = 0; us < warm_us;) {
            us += 1000 * time(last[0].algo, 1000);
        }
        for (int round = 0; round < rounds; round++) {
            for (size_t i = 0; i < last.size(); i++) {
                candidate & c     = last[(i + round) % last.size()];
                const int   turns = (int)(turn_us / c.burst) + 1;
                c.hot += time(c.algo, turns) * turns;
                c.n += turns;
            }
        }
        std::sort(last.begin(), last.end(),
                  [](const candidate & x, const candidate & y) { return x.hot / x.n < y.hot / y.n; });
        for (const candidate & c : last) {
            printf("%-8s %5d x %6d x %5d  burst %7.1f  hot %7.1f us  tile %3d cluster %2d parts of K %d%s\n", q.name, b,
                   q.n, q.k, c.burst, c.hot / c.n, get<int>(c.algo, CUBLASLT_ALGO_CONFIG_TILE_ID),
                   get<uint16_t>(c.algo, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID),
                   get<int>(c.algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM), c.first ? "  first heuristic" : "");
        }
        printf("%-8s %zu algorithms tried\n", q.name, n);
        fflush(stdout);
    }
};

} // namespace

int main(int argc, char ** argv) {
    int s[7] = { 256, 3584, 18944, 28, 4, 128, 152064 };
    need(argc == 2 || argc == 8, "tune_products ROWS [HIDDEN FFN HEADS KV_HEADS HEAD_DIM VOCABULARY]:");
    for (int i = 1; i < argc; i++) {
        s[i - 1] = atoi(argv[i]);
        need(s[i - 1] > 0, argv[i]);
    }
    const int     b = s[0], hidden = s[1], ffn = s[2], wide = s[3] * s[5], kv = s[4] * s[5], vocabulary = s[6];
    const product products[] = { { "qkv", wide + 2 * kv, hidden, false, false },
                                 { "out", hidden, wide, true, true },
                                 { "gate_up", 2 * ffn, hidden, false, false },
                                 { "down", hidden, ffn, true, true },
                                 { "head", vocabulary, hidden, true, false } };
    bench         t;
    size_t        inputs = 0, outputs = 0;
    for (const product & p : products) {
        t.weights = std::max(t.weights, 2 * (size_t)p.n * p.k);
        inputs    = std::max(inputs, (size_t)b * p.k);
        outputs   = std::max(outputs, (size_t)b * p.n);
    }
    need(cublasLtCreate(&t.handle) == 0, "cublasLtCreate");
    need(cudaStreamCreateWithFlags(&t.stream, cudaStreamNonBlocking) == cudaSuccess, "stream");
    need(cudaEventCreate(&t.from) == cudaSuccess && cudaEventCreate(&t.to) == cudaSuccess, "event");
    t.w         = room<__nv_bfloat16>(t.weights);
    t.x         = room<__nv_bfloat16>(inputs);
    t.out       = room<float>(outputs);
    t.workspace = room<char>(nv::workspace_bytes);
    randomize<<<4096, 256>>>(t.w, t.weights, 1);
    randomize<<<1024, 256>>>(t.x, inputs, 2);
    need(cudaDeviceSynchronize() == cudaSuccess, "random numbers");
    cudaDeviceProp d;
    need(cudaGetDeviceProperties(&d, 0) == cudaSuccess, "properties");
    printf("%s, %d multiprocessors, cuBLASLt %zu\n", d.name, d.multiProcessorCount, cublasLtGetVersion());
    for (const product & p : products) {
        t.run(p, b);
    }
    return 0;
}
