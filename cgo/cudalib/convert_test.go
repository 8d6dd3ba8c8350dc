//go:build cgo

package cudalib_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// conversions are what the kernels write of float32 values. The comparisons see bits, so
// that no compiler may assume that there are no NaNs.
const conversions = `
#include "convert.cuh"

#include <cstdio>

#define CHECK(T, mask, in, want)                                                                  \
    do {                                                                                          \
        const unsigned got = nv::pack2<T>(in, 0) & 0xffff;                                        \
        if ((got & mask) != (want & mask)) {                                                      \
            printf("%s of %s is %04x, want %04x\n", #T, #in, got, (unsigned)want);                \
        }                                                                                         \
    } while (0)

int main() {
    const volatile float nan = NAN, inf = INFINITY;
    CHECK(__half, 0x7e00, nan, 0x7e00);
    CHECK(__half, 0x7e00, -nan, 0x7e00);
    CHECK(__half, 0xffff, inf, 0x7bff);
    CHECK(__half, 0xffff, -inf, 0xfbff);
    CHECK(__half, 0xffff, 65504.f, 0x7bff);
    CHECK(__half, 0xffff, 1e6f, 0x7bff);
    CHECK(__half, 0xffff, -65519.f, 0xfbff);
    CHECK(__half, 0xffff, 1.5f, 0x3e00);
    CHECK(__half, 0xffff, -0.f, 0x8000);
    CHECK(__nv_bfloat16, 0x7fc0, nan, 0x7fc0);
    CHECK(__nv_bfloat16, 0x7fc0, -nan, 0x7fc0);
    CHECK(__nv_bfloat16, 0xffff, inf, 0x7f80);
    CHECK(__nv_bfloat16, 0xffff, -1.5f, 0xbfc0);
}
`

// Only numbers beyond float16 become its ends: a NaN stays one, so that the sampler
// refuses the logits that come of it.
func TestConversionsKeepNaN(t *testing.T) {
	if _, err := exec.LookPath("g++"); err != nil {
		t.Skip("this test needs g++ to build the kernels' emulation")
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "conversions.cpp"), filepath.Join(dir, "conversions")
	if err := os.WriteFile(source, []byte(conversions), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(strings.Fields("-std=c++17 -O2 -mf16c -DPP_EMULATE -I"+kernelSource+" -o"), program, source)
	if out, err := exec.Command("g++", args...).CombinedOutput(); err != nil {
		t.Fatalf("g++: %v\n%s", err, out)
	}
	out, err := exec.Command(program).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
