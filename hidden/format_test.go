package hidden

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/x448/float16"

	"personaprobe/internal/sums"
	"personaprobe/models/safetensors"
)

// plainNPY reads an array by the text of the format's specification, apart from the
// package's own reader.
func plainNPY(t *testing.T, data []byte) (descr string, rows, width int, body []byte) {
	t.Helper()
	if !bytes.HasPrefix(data, []byte("\x93NUMPY\x01\x00")) {
		t.Fatalf("magic is %q", data[:8])
	}
	n := int(binary.LittleEndian.Uint16(data[8:10]))
	if (10+n)%64 != 0 || data[10+n-1] != '\n' {
		t.Fatalf("the header has %d bytes and ends with %q", 10+n, data[10+n-1])
	}
	header := string(data[10 : 10+n])
	value := func(key string) string {
		m := regexp.MustCompile(`'` + key + `': ('[^']*'|\([^)]*\)|\w+)`).FindStringSubmatch(header)
		if m == nil {
			t.Fatalf("no key %s in %q", key, header)
		}
		return m[1]
	}
	if value("fortran_order") != "False" {
		t.Fatalf("order in %q", header)
	}
	shape := strings.Split(strings.Trim(value("shape"), "()"), ", ")
	rows, _ = strconv.Atoi(shape[0])
	width, _ = strconv.Atoi(shape[1])
	return strings.Trim(value("descr"), "'"), rows, width, data[10+n:]
}

// plainSafetensors reads a tensor by the text of the format's specification.
func plainSafetensors(t *testing.T, data []byte, name string) (dtype string, shape []int, body []byte, metadata map[string]string) {
	t.Helper()
	n := int(binary.LittleEndian.Uint64(data))
	var header map[string]json.RawMessage
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	var tensor struct {
		DType   string `json:"dtype"`
		Shape   []int
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(header[name], &tensor); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(header["__metadata__"], &metadata); err != nil {
		t.Fatal(err)
	}
	return tensor.DType, tensor.Shape, data[8+n:][tensor.Offsets[0]:tensor.Offsets[1]], metadata
}

// The files are what the formats say, and all hold the same: both arrays, both
// indices, with each type, and alone.
func TestFormats(t *testing.T) {
	e := open(t, nil)
	personas, questions := grid(t, 3, 2)
	personas[1].Name = `say "naïve" \ <b>` // text that must be escaped
	full := rows(t, mustExtract(t, e, Grid(personas, questions), ExtractOptions{Layers: []int{2, 11}, Position: PositionAll}))
	for _, dtype := range []safetensors.DType{safetensors.F32, safetensors.F16} {
		opts := ExtractOptions{Layers: []int{2, 11}, Position: PositionAll, DType: dtype}
		s := mustExtract(t, e, Grid(personas, questions), opts)
		width := e.Info().Hidden
		both := files(t, s.dir)
		for k, l := range s.Job.Layers {
			descr, n, w, body := plainNPY(t, both[npyName(l)])
			name, shape, tensor, metadata := plainSafetensors(t, both[statesName], layerName(l))
			if want := map[safetensors.DType]string{safetensors.F32: "<f4", safetensors.F16: "<f2"}[dtype]; descr != want || name != string(dtype) {
				t.Errorf("%s: types %s and %s", dtype, descr, name)
			}
			if n != len(full) || w != width || len(shape) != 2 || shape[0] != n || shape[1] != w || !bytes.Equal(body, tensor) {
				t.Errorf("%s: shapes (%d, %d) and %v", dtype, n, w, shape)
			}
			if metadata["model_sha256"] != s.Job.ModelSHA256 || metadata["layers"] != "[2,11]" || metadata["position"] != "all" {
				t.Errorf("metadata is %v", metadata)
			}
			for i, r := range full {
				for j, want := range r.states[k] {
					var got float32
					if dtype == safetensors.F32 {
						got = math.Float32frombits(binary.LittleEndian.Uint32(body[4*(i*width+j):]))
					} else {
						got = float16.Frombits(binary.LittleEndian.Uint16(body[2*(i*width+j):])).Float32()
						want = float16.Fromfloat32(want).Float32()
					}
					if got != want {
						t.Fatalf("%s: row %d, component %d: %v, want %v", dtype, i, j, got, want)
					}
				}
			}
		}
		records, err := parquet.ReadFile[Row](filepath.Join(s.dir, parquetName))
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range records {
			if got, want := fmt.Sprint(flat(r)), fmt.Sprint(flat(full[i].Row)); got != want || r.Row != int64(i) {
				t.Fatalf("parquet record %d is %s, want %s", i, got, want)
			}
		}
		if len(records) != len(full) {
			t.Errorf("%d parquet records, want %d", len(records), len(full))
		}
		for _, format := range []Format{FormatNPY, FormatSafetensors} {
			opts.Formats = []Format{format}
			alone := mustExtract(t, e, Grid(personas, questions), opts)
			for name, data := range files(t, alone.dir) {
				if name == jobName || name == statesName || name == sums.Name { // they name the formats, or files
					continue
				}
				if !bytes.Equal(data, both[name]) {
					t.Errorf("%s alone: %s differs", format, name)
				}
			}
			for i, r := range rows(t, alone) {
				if dtype == safetensors.F32 && !sameStates(r.states, full[i].states) {
					t.Errorf("%s alone: row %d differs", format, i)
				}
			}
		}
	}
}

// flat spells out what the index's pointers point to.
func flat(r Row) []any {
	out := []any{r.ID, r.Persona, r.Question, r.Group, r.Tokens}
	if r.Position != nil {
		out = append(out, *r.Position, *r.TokenID)
	}
	if r.Seed != nil {
		out = append(out, *r.Seed, *r.Completion)
	}
	return out
}

// numpy and the reference implementation of safetensors read the files.
func TestReferenceReaders(t *testing.T) {
	python := os.Getenv("PERSONAPROBE_PYTHON")
	if python == "" {
		python = "python3"
	}
	if err := exec.Command(python, "-c", "import numpy, safetensors").Run(); err != nil {
		t.Skipf("%s with numpy and safetensors is needed (another one: $PERSONAPROBE_PYTHON): %v", python, err)
	}
	e := open(t, nil)
	personas, questions := grid(t, 3, 2)
	for _, dtype := range []safetensors.DType{safetensors.F32, safetensors.F16} {
		s := mustExtract(t, e, Grid(personas, questions), ExtractOptions{Layers: []int{2, 11}, DType: dtype})
		script := `
import sys, json, numpy
from safetensors import safe_open
d = sys.argv[1]
with safe_open(d + "/states.safetensors", "np") as f:
    assert sorted(f.keys()) == ["layer_11", "layer_2"], f.keys()
    assert json.loads(f.metadata()["layers"]) == [2, 11]
    for name in f.keys():
        a, b = numpy.load(d + "/" + name + ".npy"), f.get_tensor(name)
        assert a.dtype == b.dtype == numpy.dtype(sys.argv[2]) and a.shape == b.shape == (6, 128), (a.dtype, a.shape)
        assert (a == b).all() and a.flags["C_CONTIGUOUS"]
        print(name, repr(float(a[5, 7])))
`
		kind := map[safetensors.DType]string{safetensors.F32: "float32", safetensors.F16: "float16"}[dtype]
		out, err := exec.Command(python, "-c", script, s.dir, kind).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		last := rows(t, s)[5]
		want := fmt.Sprintf("layer_11 %v\nlayer_2 %v\n", float64(last.states[1][7]), float64(last.states[0][7]))
		if string(out) != want {
			t.Errorf("%s: python read %q, want %q", dtype, out, want)
		}
	}
}

// A damaged header is an error, not a panic.
func TestNPYHeader(t *testing.T) {
	good := npyHeader(safetensors.F32, 12345678901, 16384)
	if dtype, rows, width, err := readNPYHeader(bytes.NewReader(good)); err != nil || dtype != safetensors.F32 || rows != 12345678901 || width != 16384 {
		t.Errorf("%s (%d, %d), %v", dtype, rows, width, err)
	}
	for i := range good {
		_, _, _, _ = readNPYHeader(bytes.NewReader(good[:i]))
		bad := bytes.Clone(good)
		bad[i] ^= 0x41
		_, _, _, _ = readNPYHeader(bytes.NewReader(bad))
	}
	if _, _, _, err := readNPYHeader(bytes.NewReader(bytes.Replace(good, []byte("False"), []byte("True "), 1))); err == nil {
		t.Error("Fortran order: no error")
	}
}
