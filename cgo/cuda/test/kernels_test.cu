// Every kernel of the native path against a plain float64 computation on the CPU: fresh
// random inputs, poisoned outputs, ragged lengths. Prints a line a case, ends with a
// count, and exits with 1 if anything is off. An argument seeds the random numbers.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <type_traits>
#include <vector>

#include "../cache.cuh"
#include "../gemm.cuh"
#include "../kernels.cuh"
#include "../merge.h"

namespace {

std::mt19937_64 rng;
int             failures = 0;

void need(bool ok, const char * what) {
    if (!ok) {
        printf("fatal: %s: %s\n", what, nv_error());
        exit(1);
    }
}

float uniform(float lo, float hi) { return std::uniform_real_distribution<float>(lo, hi)(rng); }

int below(int n) { return (int)(rng() % (uint64_t)n); }

template <typename T> T convert(float x);

template <> float convert(float x) { return x; }

template <> __half convert(float x) { return __float2half_rn(x); }

template <> __nv_bfloat16 convert(float x) { return __float2bfloat16_rn(x); }

double value(float x) { return x; }

double value(__half x) { return __half2float(x); }

double value(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T> constexpr double unit                = 0x1p-24;
template <> constexpr double           unit<__half>        = 0x1p-11;
template <> constexpr double           unit<__nv_bfloat16> = 0x1p-8;

// buffer is an array on both sides.
template <typename T> struct buffer {
    std::vector<T> host;
    T *            device = nullptr;

    explicit buffer(size_t n) : host(n) {
        need(cudaMalloc(&device, std::max<size_t>(n, 1) * sizeof(T)) == cudaSuccess, "cudaMalloc");
    }
    buffer(const buffer &) = delete;
    ~buffer() { cudaFree(device); }

    void up() {
        need(cudaMemcpy(device, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess,
             "copy in");
    }
    void down() {
        need(cudaDeviceSynchronize() == cudaSuccess, "kernel");
        need(cudaMemcpy(host.data(), device, host.size() * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess,
             "copy out");
    }
    void poison() { need(cudaMemset(device, 0xff, host.size() * sizeof(T)) == cudaSuccess, "memset"); } // NaN
    void fill(float lo, float hi) {
        for (auto & x : host) {
            x = convert<T>(uniform(lo, hi));
        }
        up();
    }
};

// compare reports the largest error in units of scale x bound.
template <typename T>
void compare(const char * name, const std::vector<T> & got, const std::vector<double> & want, double bound) {
    double worst = 0, scale = 0;
    for (double w : want) {
        scale = std::max(scale, std::fabs(w));
    }
    for (size_t i = 0; i < want.size(); i++) {
        const double e = std::fabs(value(got[i]) - want[i]) / (std::fabs(want[i]) + 0.02 * scale + 1e-30);
        worst          = std::isfinite(e) ? std::max(worst, e) : INFINITY;
    }
    const bool ok = worst <= bound;
    failures += !ok;
    printf("%s %-52s error %.2e, bound %.2e\n", ok ? "ok  " : "FAIL", name, worst, bound);
}

void same(const char * name, bool ok) {
    failures += !ok;
    printf("%s %s\n", ok ? "ok  " : "FAIL", name);
}

const char * label(const char * kernel, const char * type, int a, int b, int c) {
    static char text[128];
    snprintf(text, sizeof text, "%s %s %d %d %d", kernel, type, a, b, c);
    return text;
}

template <typename T> void test_rows(const char * type, int b, int e) {
    buffer<T>         table(64 * (size_t)e), normed((size_t)b * e);
    buffer<float>     x((size_t)b * e), w(e);
    buffer<nv_row>    rows(b);
    buffer<pp_choice> chosen(b);
    buffer<int32_t>   index(b);
    table.fill(-1, 1);
    w.fill(0.5, 1.5);
    for (int i = 0; i < b; i++) {
        chosen.host[i].token = below(64);
        rows.host[i]         = { i % 3 == 1 ? -1 - below(b) : below(64), i % 5 == 4 ? -1 : i, 0, 0 };
        index.host[i]        = below(b);
    }
    rows.up(), chosen.up(), index.up();
    x.poison();
    need(nv::embed(x.device, table.device, rows.device, chosen.device, b, e, 0) == 0, "embed");
    x.down();
    std::vector<double> want((size_t)b * e);
    for (int i = 0; i < b; i++) {
        const nv_row r = rows.host[i];
        const int    t = r.pos < 0 ? 0 : r.token < 0 ? chosen.host[-r.token - 1].token : r.token;
        for (int j = 0; j < e; j++) {
            want[(size_t)i * e + j] = value(table.host[(size_t)t * e + j]);
        }
    }
    compare(label("embed", type, b, e, 0), x.host, want, 0);

    x.fill(-3, 3);
    const auto norm = [&](int row, int j) {
        double sum = 0;
        for (int k = 0; k < e; k++) {
            sum += (double)x.host[(size_t)row * e + k] * x.host[(size_t)row * e + k];
        }
        return x.host[(size_t)row * e + j] / std::sqrt(sum / e + 1e-6) * w.host[j];
    };
    normed.poison();
    need(nv::rms_norm(normed.device, x.device, w.device, 1e-6f, b, e, 0) == 0, "rms_norm");
    normed.down();
    std::vector<double> scale(b);
    for (int i = 0; i < b; i++) {
        for (int j = 0; j < e; j++) {
            want[(size_t)i * e + j] = j < 40 || j > e - 40 ? norm(i, j) : value(normed.host[(size_t)i * e + j]);
        }
    }
    compare(label("rms_norm", type, b, e, 0), normed.host, want, 1.1 * unit<T>);
    normed.poison();
    need(nv::gather_norm(normed.device, x.device, index.device, b / 2, w.device, 1e-6f, b, e, 0) == 0, "gather_norm");
    normed.down();
    for (int i = 0; i < b; i++) {
        for (int j = 0; j < e; j++) {
            want[(size_t)i * e + j] =
                j < 9 ? norm(i < b / 2 ? index.host[i] : 0, j) : value(normed.host[(size_t)i * e + j]);
        }
    }
    compare(label("gather_norm", type, b, e, 0), normed.host, want, 1.1 * unit<T>);
    buffer<float> picked((size_t)b * e);
    picked.poison();
    need(nv::gather(picked.device, x.device, index.device, b, e, 0) == 0, "gather");
    picked.down();
    for (size_t i = 0; i < want.size(); i++) {
        want[i] = x.host[(size_t)index.host[i / e] * e + i % e];
    }
    compare(label("gather", type, b, e, 0), picked.host, want, 0);

    buffer<T> both((size_t)b * 2 * e), out((size_t)b * e);
    both.fill(-6, 6);
    out.poison();
    need(nv::silu_mul(out.device, both.device, b, e, 0) == 0, "silu_mul");
    out.down();
    for (int i = 0; i < b; i++) {
        for (int j = 0; j < e; j++) {
            const double g          = value(both.host[(size_t)i * 2 * e + j]);
            want[(size_t)i * e + j] = g / (1 + std::exp(-g)) * value(both.host[(size_t)i * 2 * e + e + j]);
        }
    }
    compare(label("silu_mul", type, b, e, 0), out.host, want, 1.2 * unit<T>);
}

// test_broken sees that a NaN passes every kernel between the model and the sampler, which
// refuses it, and that only finite float16 values saturate.
template <typename T> void test_broken(const char * type) {
    constexpr int e = 256;
    buffer<float> x(2 * e), w(e);
    buffer<T>     normed(2 * e), both(4 * e), out(2 * e);
    x.fill(-3, 3), w.fill(0.5, 1.5), both.fill(-6, 6);
    x.host[5] = NAN;
    x.up();
    need(nv::rms_norm(normed.device, x.device, w.device, 1e-6f, 2, e, 0) == 0, "rms_norm");
    normed.down();
    bool nan = true, finite = true;
    for (int j = 0; j < e; j++) {
        nan &= std::isnan(value(normed.host[j]));
        finite &= std::isfinite(value(normed.host[e + j]));
    }
    same(label("rms_norm of a NaN", type, 2, e, 0), nan && finite);
    both.host[7] = convert<T>(NAN);
    both.host[8] = both.host[e + 8] = convert<T>(60000.f); // their product is beyond float16
    both.up();
    need(nv::silu_mul(out.device, both.device, 2, e, 0) == 0, "silu_mul");
    out.down();
    same(label("silu_mul of a NaN", type, 2, e, 0),
         std::isnan(value(out.host[7])) && std::isfinite(value(out.host[8])));
}

// where is the place of a position in the cache, as cuda/native.h defines it.
int where(const std::vector<int32_t> & tables, int table, int row, int prefix, int pos) {
    const int first = (prefix + NV_BLOCK - 1) / NV_BLOCK;
    const int entry = pos < prefix ? pos / NV_BLOCK : first + (pos - prefix) / NV_BLOCK;
    return tables[(size_t)row * table + entry] * NV_BLOCK + (pos < prefix ? pos : pos - prefix) % NV_BLOCK;
}

// cell is where the cache has a dim of a key or a value at a place.
size_t cell(bool is_key, int at, int kv, int head, int d, int i) {
    const int token = at % NV_BLOCK;
    const int in    = d == 64 ? (is_key ? nv::key_at<64>(token, i) : nv::value_at<64>(token, i))
                              : (is_key ? nv::key_at<128>(token, i) : nv::value_at<128>(token, i));
    return ((size_t)(at / NV_BLOCK) * kv + head) * NV_BLOCK * d + in;
}

// test_attention stores and attends: sequences that share prefixes or not, single rows
// or tiles, idle rows, free places of the cache full of NaN.
template <typename T>
void test_attention(const char * type, int heads, int kv, int d, int longest, bool tiled, int sequences = 9) {
    const nv_shape shape = { 1,       heads * d, 8,   heads,
                             kv,      d,         8,   sizeof(T) == 2 && unit<T> == 0x1p-8 ? NV_BF16 : NV_F16,
                             longest, 1e-6f,     1e4f };
    const int      group = heads / kv, per_tile = tiled ? nv_tile_rows(&shape) : 1;
    const int      table = 2 * (longest / NV_BLOCK + 2), blocks = sequences * table + 1;
    struct seq {
        int prefix, end, first_row, n;
    };
    std::vector<seq>     seqs;
    std::vector<nv_row>  rows;
    std::vector<nv_tile> tiles;
    std::vector<int32_t> order(blocks);
    for (int i = 0; i < blocks; i++) {
        order[i] = i;
    }
    std::shuffle(order.begin(), order.end(), rng);
    for (int i = 0; i < sequences; i++) {
        seq s;
        s.end    = i == 0 ? 1 : i == 1 ? longest : 1 + below(longest);
        s.prefix = i % 3 == 0 ? 1 << 30 : below(s.end + 1);
        s.n      = tiled ? 1 + below(std::min(s.end, 3 * per_tile)) : 1;
        if (tiled && s.prefix < s.end) {
            s.n = std::min(s.n, s.end - s.prefix); // a pass has rows of one part
        }
        s.first_row = (int)rows.size();
        for (int k = 0; k < s.n; k++) {
            if (k % per_tile == 0) {
                tiles.push_back({ (int)rows.size(), std::min(per_tile, s.n - k) });
            }
            rows.push_back({ 0, s.end - s.n + k, s.prefix, 0 });
        }
        seqs.push_back(s);
    }
    if (!tiled) {
        rows.push_back({ 0, -1, 0, 0 });
    }
    const int       b     = (int)rows.size();
    const int       width = heads * d;
    buffer<nv_row>  drows(b);
    buffer<int32_t> tables((size_t)b * table);
    buffer<nv_tile> dtiles(tiles.size());
    buffer<T>       qkv((size_t)b * (heads + 2 * kv) * d), q((size_t)b * width), out((size_t)b * width);
    buffer<T>       k((size_t)blocks * kv * NV_BLOCK * d), v((size_t)blocks * kv * NV_BLOCK * d);
    buffer<float>   bias((size_t)(heads + 2 * kv) * d), rotation((size_t)longest * d);
    drows.host  = rows;
    dtiles.host = tiles;
    for (size_t i = 0; i < tables.host.size(); i++) {
        tables.host[i] = 0;
    }
    for (int i = 0; i < sequences; i++) {
        for (int r = 0; r < seqs[i].n; r++) {
            for (int j = 0; j < table; j++) {
                tables.host[(size_t)(seqs[i].first_row + r) * table + j] = order[i * table + j];
            }
        }
    }
    for (int p = 0; p < longest; p++) {
        for (int i = 0; i < d / 2; i++) {
            const double a                           = p * std::pow(1e4, -2.0 * i / d);
            rotation.host[(size_t)p * d + i]         = (float)std::cos(a);
            rotation.host[(size_t)p * d + d / 2 + i] = (float)std::sin(a);
        }
    }
    drows.up(), dtiles.up(), tables.up(), rotation.up();
    qkv.fill(-2, 2);
    bias.fill(-1, 1);
    q.poison(), out.poison();
    k.poison(), v.poison();
    k.down(), v.down();
    // Earlier tokens are in the cache already.
    for (const seq & s : seqs) {
        for (int p = 0; p < s.end - s.n; p++) {
            const int at = where(tables.host, table, s.first_row, s.prefix, p);
            for (int h = 0; h < kv; h++) {
                for (int i = 0; i < d; i++) {
                    k.host[cell(true, at, kv, h, d, i)]  = convert<T>(uniform(-2, 2));
                    v.host[cell(false, at, kv, h, d, i)] = convert<T>(uniform(-2, 2));
                }
            }
        }
    }
    k.up(), v.up();
    const std::vector<T> before_k = k.host, before_v = v.host;
    need(nv::rope_store(q.device, k.device, v.device, qkv.device, bias.device, rotation.device, drows.device,
                        tables.device, table, shape, b, 0) == 0,
         "rope_store");
    if (tiled) {
        need(nv::attend_prompts(out.device, q.device, k.device, v.device, drows.device, tables.device, table,
                                dtiles.device, (int)tiles.size(), shape, 0) == 0,
             "attend_prompts");
        k.down(), v.down();
    } else {
        k.down(), v.down(); // what rope_store made of it
        const std::vector<T> keys = k.host, values = v.host;
        need(cudaMemcpy(k.device, before_k.data(), k.host.size() * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess,
             "copy in");
        need(cudaMemcpy(v.device, before_v.data(), v.host.size() * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess,
             "copy in");
        need(nv::attend_step(out.device, k.device, v.device, qkv.device, bias.device, rotation.device, drows.device,
                             tables.device, table, b, shape, 0) == 0,
             "attend_step");
        k.down(), v.down();
        same(label("attend_step stores what rope_store does", type, heads, kv, d),
             memcmp(keys.data(), k.host.data(), keys.size() * sizeof(T)) == 0 &&
                 memcmp(values.data(), v.host.data(), values.size() * sizeof(T)) == 0);
    }
    q.down(), out.down();

    std::vector<double> want_q((size_t)b * width), want_kv, want((size_t)b * width, 0.0);
    std::vector<T>      got_kv;
    for (int r = 0; r < b; r++) {
        for (int h = 0; h < heads + 2 * kv; h++) {
            for (int i = 0; i < d; i++) {
                const auto in = [&](int j) {
                    return value(qkv.host[((size_t)r * (heads + 2 * kv) + h) * d + j]) + bias.host[h * d + j];
                };
                const size_t at = (size_t)std::max(rows[r].pos, 0) * d + i % (d / 2);
                const double c = rotation.host[at], s = rotation.host[at + d / 2];
                double       x = i < d / 2 ? in(i)*c - in(i + d / 2) * s : in(i)*c + in(i - d / 2) * s;
                if (h >= heads + kv) {
                    x = in(i);
                }
                if (h < heads) {
                    want_q[(size_t)r * width + h * d + i] = x;
                } else if (rows[r].pos >= 0) {
                    const int    p      = where(tables.host, table, r, rows[r].prefix, rows[r].pos);
                    const bool   is_key = h < heads + kv;
                    const size_t y      = cell(is_key, p, kv, (h - heads) % kv, d, i);
                    want_kv.push_back(x);
                    got_kv.push_back(is_key ? k.host[y] : v.host[y]);
                }
            }
        }
    }
    char name[128];
    snprintf(name, sizeof name, "rope_store %s H %d KV %d D %d, %d rows", type, heads, kv, d, b);
    compare(name, q.host, want_q, 1.1 * unit<T>);
    compare(name, got_kv, want_kv, 1.1 * unit<T>);
    for (int r = 0; r < b; r++) {
        for (int h = 0; h < heads && rows[r].pos >= 0; h++) {
            std::vector<double> s;
            double              top = -INFINITY, total = 0;
            for (int p = 0; p <= rows[r].pos; p++) {
                const int at  = where(tables.host, table, r, rows[r].prefix, p);
                double    dot = 0;
                for (int i = 0; i < d; i++) {
                    dot += value(q.host[(size_t)r * width + h * d + i]) *
                           value(k.host[cell(true, at, kv, h / group, d, i)]);
                }
                s.push_back(dot / std::sqrt((double)d));
                top = std::max(top, s.back());
            }
            for (double & x : s) {
                total += x = std::exp(x - top);
            }
            for (int p = 0; p <= rows[r].pos; p++) {
                const int at = where(tables.host, table, r, rows[r].prefix, p);
                for (int i = 0; i < d; i++) {
                    want[(size_t)r * width + h * d + i] +=
                        s[p] / total * value(v.host[cell(false, at, kv, h / group, d, i)]);
                }
            }
        }
    }
    snprintf(name, sizeof name, "attend %s H %d KV %d D %d to %d%s", type, heads, kv, d, longest,
             tiled ? ", tiles" : "");
    compare(name, out.host, want, 16 * unit<T>); // each weight is rounded to T before it meets its value
}

template <typename T> void test_merge(const char * type, int rows, int cols, int rank) {
    buffer<T>     w((size_t)rows * cols);
    buffer<float> a((size_t)rank * cols), b((size_t)rows * rank);
    w.fill(-1, 1), a.fill(-1, 1), b.fill(-1, 1);
    std::vector<double> want(w.host.size());
    for (int r = 0; r < rows; r++) {
        for (int c = 0; c < cols; c++) {
            double s = 0;
            for (int k = 0; k < rank; k++) {
                s += (double)b.host[(size_t)r * rank + k] * a.host[(size_t)k * cols + c];
            }
            want[(size_t)r * cols + c] = value(w.host[(size_t)r * cols + c]) + s;
        }
    }
    const int t = std::is_same_v<T, __half> ? PP_F16 : PP_BF16;
    need(pp_merge(w.device, w.device, t, cols, rows, a.device, PP_F32, b.device, PP_F32, rank, 1, 0) == 0, "merge");
    w.down();
    compare(label("merge", type, rows, cols, rank), w.host, want, 1.1 * unit<T>);
}

// test_products checks the values, and that a row's bits do not depend on its place
// nor on its neighbours.
template <typename T> void test_products(const char * type, cudaDataType kind, int b, int n, int k) {
    buffer<T>     x((size_t)b * k), w((size_t)n * k), half((size_t)b * n);
    buffer<float> full((size_t)b * n);
    buffer<char>  workspace(nv::workspace_bytes);
    nv::products  p;
    need(p.open(kind, workspace.device) == 0, "open products");
    x.fill(-1, 1), w.fill(-1, 1), full.fill(-1, 1);
    const std::vector<float> before = full.host;
    half.poison();
    need(p.half(half.device, x.device, w.device, b, n, k, 0) == 0, "half");
    need(p.full(full.device, x.device, w.device, b, n, k, true, 0) == 0, "full");
    half.down(), full.down();
    std::vector<double> want, wantf;
    std::vector<T>      goth;
    std::vector<float>  gotf;
    for (int i = 0; i < 4000; i++) {
        const int r = below(b), c = below(n);
        double    s = 0;
        for (int j = 0; j < k; j++) {
            s += value(x.host[(size_t)r * k + j]) * value(w.host[(size_t)c * k + j]);
        }
        want.push_back(s);
        wantf.push_back(s + before[(size_t)r * n + c]);
        goth.push_back(half.host[(size_t)r * n + c]);
        gotf.push_back(full.host[(size_t)r * n + c]);
    }
    compare(label("product", type, b, n, k), goth, want, 2 * unit<T>);
    compare(label("product float32", type, b, n, k), gotf, wantf, 1e-4 * std::max(1.0, k / 3584.0));

    const std::vector<T>     first(half.host.begin(), half.host.begin() + n);
    const std::vector<float> firstf(full.host.begin(), full.host.begin() + n);
    const int                to = b - 1;
    for (int r = 0; r < b; r++) {
        for (int j = 0; j < k; j++) {
            const T y = r == to ? x.host[j] : convert<T>(uniform(-1, 1));
            if (r > 0) {
                x.host[(size_t)r * k + j] = y;
            }
        }
    }
    for (int j = 0; j < k && to > 0; j++) {
        x.host[j] = convert<T>(0.5f);
    }
    x.up();
    std::copy(before.begin(), before.begin() + n, full.host.begin() + (size_t)to * n); // what the row was added to
    full.up();
    need(p.half(half.device, x.device, w.device, b, n, k, 0) == 0, "half");
    need(p.full(full.device, x.device, w.device, b, n, k, true, 0) == 0, "full");
    half.down(), full.down();
    bool equal = true;
    for (int c = 0; c < n; c++) {
        equal = equal && value(half.host[(size_t)to * n + c]) == value(first[c]) &&
                full.host[(size_t)to * n + c] == firstf[c];
    }
    same(label("product: a row's bits elsewhere", type, b, n, k), equal);
}

// test_refused sees that a product that cuBLASLt does not have is refused each time it is
// asked for, in the same words, and never run by a plan that was not finished.
void test_refused() {
    buffer<char> data(4096), workspace(nv::workspace_bytes);
    nv::products p;
    need(p.open(CUDA_R_64F, workspace.device) == 0, "open products"); // none with sums in float32
    std::string first;
    bool        ok = true;
    for (int turn = 0; turn < 2; turn++) {
        ok &= p.half(data.device, data.device, data.device, 2, 8, 8, 0) != NV_OK;
        ok &= turn == 0 || first == nv_error();
        first = nv_error();
    }
    same("a product that there is not", ok);
}

template <typename T> void test_type(const char * type, cudaDataType kind, bool products) {
    for (int e : { 8, 128, 896, 3584, 8192 }) {
        test_rows<T>(type, 13, e);
    }
    test_broken<T>(type);
    for (int longest : { 1, 15, 16, 17, 100, 700 }) {
        test_attention<T>(type, 2, 1, 64, longest, false);
        test_attention<T>(type, 28, 4, 128, longest, false);
        test_attention<T>(type, 28, 4, 128, longest, true);
        test_attention<T>(type, 14, 2, 64, longest, true);
        test_attention<T>(type, 3, 3, 64, longest, true);
        test_attention<T>(type, 16, 1, 128, longest, true);
        test_attention<T>(type, 12, 1, 128, longest, false);
    }
    for (int longest : { 1, 40, 200 }) { // many rows, which two warps share
        test_attention<T>(type, 28, 4, 128, longest, false, 140);
        test_attention<T>(type, 2, 1, 64, longest, false, 300);
    }
    test_merge<T>(type, 37, 128, 1);
    test_merge<T>(type, 512, 3584, 32);
    test_merge<T>(type, 100, 264, 700);
    if (!products) {
        return;
    }
    test_products<T>(type, kind, 2, 128, 128);
    test_products<T>(type, kind, 64, 4608, 3584);
    test_products<T>(type, kind, 256, 3584, 3584);
    test_products<T>(type, kind, 256, 3584, 18944);
    test_products<T>(type, kind, 512, 4608, 3584);
    test_products<T>(type, kind, 512, 37888, 3584);
}

} // namespace

// kernels_test [SEED] [ours]: ours leaves cuBLAS's products out, which racecheck cannot follow.
int main(int argc, char ** argv) {
    uint64_t seed     = std::random_device{}();
    bool     products = true;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "ours") == 0) {
            products = false;
        } else {
            seed = strtoull(argv[i], nullptr, 10);
        }
    }
    rng.seed(seed);
    printf("seed %llu\n", (unsigned long long)seed);
    test_type<__nv_bfloat16>("bf16", CUDA_R_16BF, products);
    test_type<__half>("f16", CUDA_R_16F, products);
    if (products) {
        test_refused();
    }
    printf("%s: %d failures\n", failures ? "FAIL" : "PASS", failures);
    return failures ? 1 : 0;
}
