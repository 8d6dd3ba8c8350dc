#include "gemm.cuh"

#include "native.h"
#include "tuned.cuh"

namespace nv {

static int check(cublasStatus_t status, const char * what) {
    if (status == CUBLAS_STATUS_SUCCESS) {
        return NV_OK;
    }
    return fail(status == CUBLAS_STATUS_ALLOC_FAILED ? NV_MEMORY : NV_CUDA, "%s: %s", what,
                cublasLtGetStatusString(status));
}

products::plan::~plan() {
    cublasLtMatrixLayoutDestroy(w);
    cublasLtMatrixLayoutDestroy(x);
    cublasLtMatrixLayoutDestroy(out);
    cublasLtMatmulDescDestroy(op);
}

products::~products() {
    plans_.clear();
    if (handle_) {
        cublasLtDestroy(handle_);
    }
}

int products::open(cudaDataType type, void * workspace) {
    type_      = type;
    workspace_ = workspace;
    int device = 0;
    NV_CU(cudaGetDevice(&device));
    NV_CU(cudaDeviceGetAttribute(&processors_, cudaDevAttrMultiProcessorCount, device));
    return check(cublasLtCreate(&handle_), "cublasLtCreate");
}

int products::find(plan ** out, int b, int n, int k, bool full) {
    const shape key{ b, n, k, full };
    const auto [at, fresh] = plans_.try_emplace(key);
    // Only a whole plan is kept: after a failed search the next call searches again.
    if (const int code = fresh ? search(at->second, key) : NV_OK; code != NV_OK) {
        plans_.erase(at);
        return code;
    }
    *out = &at->second;
    return NV_OK;
}

// In cuBLAS's columns-first words: out (N, B) = w (K, N) transposed times x (K, B).
int products::search(plan & p, const shape & key) {
    const auto [b, n, k, full]            = key;
    const cudaDataType         out_type   = full ? CUDA_R_32F : type_;
    const cublasOperation_t    transpose  = CUBLAS_OP_T;
    cublasLtMatmulPreference_t preference = nullptr;
    NV_TRY(check(cublasLtMatmulDescCreate(&p.op, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate"));
    NV_TRY(check(cublasLtMatmulDescSetAttribute(p.op, CUBLASLT_MATMUL_DESC_TRANSA, &transpose, sizeof transpose),
                 "cublasLtMatmulDescSetAttribute"));
    NV_TRY(check(cublasLtMatrixLayoutCreate(&p.w, type_, k, n, k), "cublasLtMatrixLayoutCreate"));
    NV_TRY(check(cublasLtMatrixLayoutCreate(&p.x, type_, k, b, k), "cublasLtMatrixLayoutCreate"));
    NV_TRY(check(cublasLtMatrixLayoutCreate(&p.out, out_type, n, b, n), "cublasLtMatrixLayoutCreate"));
    NV_TRY(check(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate"));
    cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes,
                                         sizeof workspace_bytes);
    cublasLtMatmulHeuristicResult_t result = {};
    int                             found  = 0;
    const cublasStatus_t            status =
        cublasLtMatmulAlgoGetHeuristic(handle_, p.op, p.w, p.x, p.out, p.out, preference, 1, &result, &found);
    cublasLtMatmulPreferenceDestroy(preference);
    NV_TRY(check(status, "cublasLtMatmulAlgoGetHeuristic"));
    if (found == 0) {
        return fail(NV_UNSUPPORTED, "cuBLASLt has no product for %d rows, %d x %d", b, n, k);
    }
    p.algo = result.algo;
    tune(p, key);
    return NV_OK;
}

// configure makes an algorithm of the same kind as another, but for tile and cluster.
static bool configure(cublasLtMatmulAlgo_t & algo, cublasLtHandle_t handle, cudaDataType type, const tuned & t,
                      const cublasLtMatmulAlgo_t & like) {
    const cudaDataType out    = t.full ? CUDA_R_32F : type;
    const uint16_t     shape  = t.cluster;
    int                number = 0;
    uint32_t           stages = 0;
    const auto         get    = [&](cublasLtMatmulAlgoConfigAttributes_t name, auto & value) {
        size_t got = 0;
        return cublasLtMatmulAlgoConfigGetAttribute(&like, name, &value, sizeof value, &got) == CUBLAS_STATUS_SUCCESS;
    };
    const auto set = [&](cublasLtMatmulAlgoConfigAttributes_t name, const auto & value) {
        return cublasLtMatmulAlgoConfigSetAttribute(&algo, name, &value, sizeof value) == CUBLAS_STATUS_SUCCESS;
    };
    return get(CUBLASLT_ALGO_CONFIG_ID, number) && get(CUBLASLT_ALGO_CONFIG_STAGES_ID, stages) &&
           cublasLtMatmulAlgoInit(handle, CUBLAS_COMPUTE_32F, CUDA_R_32F, type, type, out, out, number, &algo) ==
               CUBLAS_STATUS_SUCCESS &&
           set(CUBLASLT_ALGO_CONFIG_TILE_ID, t.tile) && set(CUBLASLT_ALGO_CONFIG_STAGES_ID, stages) &&
           set(CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, shape);
}

// tune takes a tuned algorithm if there is one for the shape and the library has it.
void products::tune(plan & p, const shape & key) {
    if (processors_ != tuned_processors) {
        return;
    }
    for (const tuned & t : all_tuned) {
        if (shape{ t.b, t.n, t.k, t.full } != key) {
            continue;
        }
        cublasLtMatmulAlgo_t            algo;
        cublasLtMatmulHeuristicResult_t result = {};
        if (configure(algo, handle_, type_, t, p.algo) &&
            cublasLtMatmulAlgoCheck(handle_, p.op, p.w, p.x, p.out, p.out, &algo, &result) == CUBLAS_STATUS_SUCCESS &&
            result.workspaceSize <= workspace_bytes) {
            p.algo = algo;
        }
    }
}

int products::run(void * out, const void * x, const void * w, int b, int n, int k, bool full, float beta,
                  cudaStream_t s) {
    plan *      p   = nullptr;
    const float one = 1;
    NV_TRY(find(&p, b, n, k, full));
    return check(cublasLtMatmul(handle_, p->op, &one, w, p->w, x, p->x, &beta, out, p->out, out, p->out, &p->algo,
                                workspace_, workspace_bytes, s),
                 "cublasLtMatmul");
}

int products::half(void * out, const void * x, const void * w, int b, int n, int k, cudaStream_t s) {
    return run(out, x, w, b, n, k, false, 0, s);
}

int products::full(float * out, const void * x, const void * w, int b, int n, int k, bool add, cudaStream_t s) {
    return run(out, x, w, b, n, k, true, add ? 1 : 0, s);
}

int products::describe(std::string * text, int b, int n, int k, bool full) {
    char     line[128];
    plan *   p        = nullptr;
    int      value[4] = {};
    uint16_t cluster  = 0;
    size_t   got      = 0;
    NV_TRY(find(&p, b, n, k, full));
    constexpr cublasLtMatmulAlgoConfigAttributes_t names[4] = { CUBLASLT_ALGO_CONFIG_ID, CUBLASLT_ALGO_CONFIG_TILE_ID,
                                                                CUBLASLT_ALGO_CONFIG_STAGES_ID,
                                                                CUBLASLT_ALGO_CONFIG_SPLITK_NUM };
    for (int i = 0; i < 4; i++) {
        cublasLtMatmulAlgoConfigGetAttribute(&p->algo, names[i], &value[i], sizeof value[i], &got);
    }
    cublasLtMatmulAlgoConfigGetAttribute(&p->algo, CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, &cluster, sizeof cluster,
                                         &got);
    snprintf(line, sizeof line, "; %dx%dx%d%s: %d/%d/%d/%d/%d", b, n, k, full ? "f" : "", value[0], value[1], value[2],
             cluster, value[3]);
    *text += line;
    return NV_OK;
}

} // namespace nv
