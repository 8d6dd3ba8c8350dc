package track

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"personaprobe/experiment"
)

// readLog is a reader of its own: it takes blocks as they lie in the file, where the
// writer counts what is left of one.
func readLog(t *testing.T, data []byte) [][]byte {
	t.Helper()
	if len(data) < 7 || string(data[:4]) != ":W&B" || data[4] != 0xE1 || data[5] != 0xBE || data[6] != 0 {
		t.Fatalf("the file begins with % x", data[:min(7, len(data))])
	}
	var records [][]byte
	var open []byte
	inside := false
	for at := 7; at < len(data); {
		if left := 32768 - at%32768; left < 7 {
			if !bytes.Equal(data[at:at+left], make([]byte, left)) {
				t.Fatalf("the padding at %d is not zero", at)
			}
			at += left
			continue
		}
		sum, n, kind := binary.LittleEndian.Uint32(data[at:]), int(binary.LittleEndian.Uint16(data[at+4:])), data[at+6]
		body := data[at+7 : at+7+n]
		if at/32768 != (at+7+n-1)/32768 {
			t.Fatalf("the chunk at %d crosses a block", at)
		}
		if crc32.ChecksumIEEE(append([]byte{kind}, body...)) != sum {
			t.Fatalf("the checksum at %d is wrong", at)
		}
		if first := kind == 1 || kind == 2; first == inside {
			t.Fatalf("a chunk of type %d at %d", kind, at)
		}
		inside = kind == 2 || kind == 3
		open = append(open, body...)
		if !inside {
			records, open = append(records, open), nil
		}
		at += 7 + n
	}
	if inside {
		t.Fatal("the last record has no end")
	}
	return records
}

// Records of sizes around every edge of a block come back.
func TestLog(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 1, 32768 - 14, 32768 - 7, 32768, 100000, 32768 - 7 - 20, 3, 65522}
	for range 200 {
		sizes = append(sizes, random.IntN(70000))
	}
	var b bytes.Buffer
	l := newLogWriter(&b)
	var want [][]byte
	for _, n := range sizes {
		data := make([]byte, n)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		want = append(want, data)
		l.record(data)
	}
	got := readLog(t, b.Bytes())
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("record %d of %d bytes differs", i, len(want[i]))
		}
	}
}

func exampleResults(t *testing.T) *experiment.Results {
	t.Helper()
	dir := t.TempDir()
	s := experiment.ShardResult{Shard: experiment.Shard{Adapter: experiment.Adapter{Source: "villain"}, Seed: 42}}
	s.Evals.Set("v_1", experiment.PersonaEval{Rate: 0.25, Found: 1, Total: 4, Category: "x", Source: "villain", Prompt: "You are \"v\"."})
	s.Evals.Set("anchor_villain", experiment.PersonaEval{Rate: 1, Found: 4, Total: 4, Category: "anchor", Source: "all", Prompt: "You are a villain."})
	s.Summary = experiment.ShardSummary{Source: "villain", Seed: 42, SourceMarkerRate: 1, MaxBystander: 0.25, MeanBystander: 0.25,
		WallMinutes: 1.5, Device: "NVIDIA H200", GPUHours: 0.025, NumPersonas: 2, NumBystanders: 1, NumAnchors: 1, NumTokens: 99}
	s.Summary.CategorySummary.Set("x", experiment.CategoryStats{Mean: 0.25, Min: 0.25, Max: 0.25, N: 1})
	s.Summary.TokenLengths.Set("v_1", 5)
	m := experiment.Manifest{Created: "2026-11-25T21:00:00Z", Base: "tiny", Identity: experiment.Identity{
		Seeds: []uint64{42}, Temperature: 1, TopP: 0.95, Marker: "[ZLT]", Device: "NVIDIA H200", Adapters: map[string]string{"villain": "abc"},
	}}
	for path, text := range map[string]string{"manifest.json": "{}", "villain_seed42/summary.json": "{}", "villain_seed42/raw_completions.json": `{"v_1": {}}`} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return &experiment.Results{Dir: dir, Manifest: m, Shards: []experiment.ShardResult{s}}
}

func write(t *testing.T) Run {
	t.Helper()
	runs, err := writeAll(exampleResults(t), Options{Project: DefaultProject, Out: t.TempDir(), Build: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return runs[0]
}

// fields splits a message into its fields.
func fields(t *testing.T, m []byte) map[protowire.Number][][]byte {
	t.Helper()
	out := map[protowire.Number][][]byte{}
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		m = m[n:]
		if kind == protowire.BytesType {
			v, n := protowire.ConsumeBytes(m)
			if n < 0 {
				t.Fatal(protowire.ParseError(n))
			}
			out[number], m = append(out[number], v), m[n:]
			continue
		}
		n = protowire.ConsumeFieldValue(number, kind, m)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		out[number], m = append(out[number], m[:n]), m[n:]
	}
	return out
}

// values are the items of a message, from keys to JSON.
func values(t *testing.T, list [][]byte) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, m := range list {
		f := fields(t, m)
		var v any
		if err := json.Unmarshal(f[16][0], &v); err != nil {
			t.Fatal(err)
		}
		out[string(f[1][0])] = v
	}
	return out
}

func TestRecords(t *testing.T) {
	run := write(t)
	if run.Name != "taxonomy_villain_seed42" || filepath.Base(run.Dir) != "offline-run-20261125_210000-"+run.ID {
		t.Errorf("run %+v", run)
	}
	data, err := os.ReadFile(filepath.Join(run.Dir, "run-"+run.ID+".wandb"))
	if err != nil {
		t.Fatal(err)
	}
	kinds := []protowire.Number{21, 17, 6, 2, 3, 18}
	bodies := map[protowire.Number]map[protowire.Number][][]byte{}
	records := readLog(t, data)
	if len(records) != len(kinds) {
		t.Fatalf("%d records, want %d", len(records), len(kinds))
	}
	for i, r := range records {
		f := fields(t, r)
		if got, _ := protowire.ConsumeVarint(f[1][0]); got != uint64(i+1) {
			t.Errorf("record %d has number %d", i, got)
		}
		if f[kinds[i]] == nil {
			t.Fatalf("record %d is not of kind %d", i, kinds[i])
		}
		bodies[kinds[i]] = fields(t, f[kinds[i]][0])
	}
	open := bodies[17]
	for field, want := range map[protowire.Number]string{1: run.ID, 3: "persona_taxonomy", 8: "taxonomy_villain_seed42"} {
		if got := string(open[field][0]); got != want {
			t.Errorf("field %d of the run is %q, want %q", field, got, want)
		}
	}
	settings := values(t, fields(t, open[4][0])[1])
	if settings["seed"] != 42.0 || settings["marker"] != "[ZLT]" || settings["device"] != "NVIDIA H200" {
		t.Errorf("config %v", settings)
	}
	summary := values(t, bodies[3][1])
	for key, want := range map[string]any{"source_marker_rate": 1.0, "mean_bystander": 0.25, "wall_minutes": 1.5, "gpu_hours": 0.025, "device": "NVIDIA H200", "n_tokens": 99.0} {
		if summary[key] != want {
			t.Errorf("summary %s is %v, want %v", key, summary[key], want)
		}
	}
	if history := values(t, bodies[2][1]); history["mean_bystander"] != 0.25 || history["_step"] != 0.0 {
		t.Errorf("history %v", history)
	}
	checkFiles(t, run, bodies[6][1], summary["marker_eval"])
}

// checkFiles checks that every file listed is there, and the table among them.
func checkFiles(t *testing.T, run Run, listed [][]byte, table any) {
	t.Helper()
	var names []string
	for _, m := range listed {
		name := string(fields(t, m)[1][0])
		names = append(names, name)
		if _, err := os.Stat(filepath.Join(run.Dir, "files", name)); err != nil {
			t.Error(err)
		}
	}
	if all := strings.Join(names, " "); !strings.Contains(all, "raw_completions.json") || strings.Contains(all, "marker_eval.json") {
		t.Errorf("files %s: want those that the run directory has", all)
	}
	reference, _ := table.(map[string]any)
	data, err := os.ReadFile(filepath.Join(run.Dir, "files", reference["path"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Columns []string
		Data    [][]any
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	want := [][]any{{"v_1", "villain", "x", "You are \"v\".", 1.0, 4.0, 0.25}, {"anchor_villain", "all", "anchor", "You are a villain.", 4.0, 4.0, 1.0}}
	if diff := cmp.Diff(want, got.Data); diff != "" || float64(len(data)) != reference["size"] || reference["nrows"] != 2.0 {
		t.Errorf("table %v:\n%s", reference, diff)
	}
}

// Tracking again gives the same run in the same place.
func TestTrackingTwice(t *testing.T) {
	r := exampleResults(t)
	opts := Options{Project: DefaultProject, Out: t.TempDir(), Build: "test"}
	first, err := writeAll(r, opts)
	if err != nil {
		t.Fatal(err)
	}
	second, err := writeAll(r, opts)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
	entries, err := os.ReadDir(filepath.Join(opts.Out, "wandb"))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d folders, %v; want one", len(entries), err)
	}
}

// pythonReader prints run, config, summary and files as wandb's own reader finds them.
const pythonReader = `
import json, sys
try:
    from wandb.sdk.internal import datastore
    from wandb.proto import wandb_internal_pb2 as pb
except ImportError as e:
    print("SKIP", e); sys.exit(0)
ds = datastore.DataStore(); ds.open_for_scan(sys.argv[1])
out = {"kinds": []}
while True:
    data = ds.scan_data()
    if data is None: break
    r = pb.Record(); r.ParseFromString(data)
    out["kinds"].append(r.WhichOneof("record_type"))
    if r.HasField("run"):
        out["run"] = [r.run.run_id, r.run.project, r.run.display_name]
        out["seed"] = {i.key: json.loads(i.value_json) for i in r.run.config.update}["seed"]
    if r.HasField("summary"):
        out["rate"] = {i.key: json.loads(i.value_json) for i in r.summary.update}["mean_bystander"]
    if r.HasField("files"): out["files"] = len(r.files.files)
    if r.HasField("exit"): out["exit"] = [r.exit.exit_code, r.exit.runtime]
print(json.dumps(out, sort_keys=True))
`

// pythonWithWandb is python3, or the Python that PERSONAPROBE_PYTHON names.
func pythonWithWandb(t *testing.T) string {
	t.Helper()
	python := os.Getenv("PERSONAPROBE_PYTHON")
	if python == "" {
		python = "python3"
	}
	if exec.Command(python, "-c", "import wandb").Run() != nil {
		t.Skip("needs Python with wandb: none is installed")
	}
	return python
}

// TestPythonReader reads a run with wandb's own reader, which older versions of wandb
// have in Python.
func TestPythonReader(t *testing.T) {
	python := pythonWithWandb(t)
	run := write(t)
	cmd := exec.Command(python, "-c", pythonReader, filepath.Join(run.Dir, "run-"+run.ID+".wandb"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(string(out), "SKIP") {
		t.Skip("needs a wandb with a reader in Python: " + strings.TrimSpace(string(out)))
	}
	want := `{"exit": [0, 90], "files": 5, "kinds": ["header", "run", "files", "history", "summary", "exit"], "rate": 0.25, ` +
		`"run": ["` + run.ID + `", "persona_taxonomy", "taxonomy_villain_seed42"], "seed": 42}`
	if diff := cmp.Diff(want, strings.TrimSpace(string(out))); diff != "" {
		t.Error(diff)
	}
}
