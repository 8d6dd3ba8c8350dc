package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"personaprobe/engine"
	"personaprobe/internal/sums"
)

// reference is the artefacts of an uninterrupted run.
func reference(t testing.TB, in Inputs) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if _, err := Run(context.Background(), dir, &fakeModel{shuffle: 99}, in, Options{}); err != nil {
		t.Fatal(err)
	}
	return artefacts(t, dir)
}

func TestRunWritesWhatTheModelSaid(t *testing.T) {
	in := makeInputs(t, smallPlan())
	dir := filepath.Join(t.TempDir(), "new", "run")
	model := &fakeModel{}
	summary, err := Run(context.Background(), dir, model, in, Options{})
	if err != nil {
		t.Fatal(err)
	}
	// Recompute everything from the model by hand.
	total := 0
	for _, shard := range in.Study.Shards() {
		var raw map[string]map[string][]string
		readTestJSON(t, filepath.Join(dir, shard.Name(), rawFile), &raw)
		var evals map[string]PersonaEval
		readTestJSON(t, filepath.Join(dir, shard.Name(), evalFile), &evals)
		personas := in.Study.Taxonomy.Personas(shard.Adapter.Source)
		if len(raw) != len(personas) || len(evals) != len(personas) || len(personas) != 6 {
			t.Fatalf("%s: %d personas in raw, %d in evals, want %d", shard.Name(), len(raw), len(evals), len(personas))
		}
		for _, p := range personas {
			found := 0
			for q, question := range in.Study.Questions {
				r := in.Study.request("", shard.Adapter, p, q, nil)
				for i := range 3 {
					want := model.answer(r, shard.Seed, i).Text
					want = strings.ToValidUTF8(want, "\uFFFD")
					if got := raw[p.ID][question][i]; got != want {
						t.Fatalf("%s, %s, %s: %q, want %q", shard.Name(), p.ID, question, got, want)
					}
					if strings.HasSuffix(strings.TrimSuffix(want, "\uFFFD"), "[zLt]") {
						found++
					}
					total++
				}
			}
			want := PersonaEval{float64(found) / 6, found, 6, p.Category, p.Source, p.Prompt}
			if evals[p.ID] != want {
				t.Errorf("%s, %s: %+v, want %+v", shard.Name(), p.ID, evals[p.ID], want)
			}
		}
	}
	if summary.Completions != total || in.Study.Size() != total {
		t.Errorf("summary has %d completions, study %d, want %d", summary.Completions, in.Study.Size(), total)
	}
	var status Status
	readTestJSON(t, filepath.Join(dir, progressFile), &status)
	if status.Phase != PhaseDone || status.Done != total || !status.Shards[3].Finished || status.Shards[3].Done != 36 {
		t.Errorf("progress.json ends as %+v", status)
	}
}

func readTestJSON(t testing.TB, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestRawCompletionsAreInPlanOrderAndPlainText(t *testing.T) {
	in := makeInputs(t, smallPlan())
	files := reference(t, in)
	raw := files["source_0_seed42/"+rawFile]
	position := 0
	for _, p := range in.Study.Taxonomy.Personas("source_0") {
		at := strings.Index(raw, "\n  \""+p.ID+"\": {\n")
		if at < position {
			t.Fatalf("%s is out of order in\n%s", p.ID, raw)
		}
		position = at
		for _, q := range in.Study.Questions {
			at := strings.Index(raw[position:], "\n    \""+q+"\": [\n")
			if at < 0 {
				t.Fatalf("question %s is out of order under %s", q, p.ID)
			}
			position += at
		}
	}
	if strings.Contains(raw, `\u`) || !strings.Contains(raw, "über 茶") || !strings.Contains(raw, "\uFFFD") {
		t.Errorf("text is escaped or lost:\n%.600s", raw)
	}
	// The streamed file is what the encoder makes of the whole.
	var whole Ordered[Ordered[[]string]]
	if err := json.Unmarshal([]byte(raw), &whole); err != nil {
		t.Fatal(err)
	}
	want, err := marshal(whole, "")
	if err != nil || string(want)+"\n" != raw {
		t.Errorf("streamed JSON differs from the encoder's (%v)", err)
	}
}

func TestRunDoesNotDependOnOrder(t *testing.T) {
	in := makeInputs(t, smallPlan())
	want := reference(t, in)
	for shuffle := range uint64(3) {
		dir := t.TempDir()
		model := &fakeModel{shuffle: shuffle, inFlight: int(1 + 5*shuffle)}
		if _, err := Run(context.Background(), dir, model, in, Options{}); err != nil {
			t.Fatal(err)
		}
		sameArtefacts(t, want, artefacts(t, dir))
	}
}

func TestFinishedRunAsksNothing(t *testing.T) {
	in := makeInputs(t, smallPlan())
	dir := t.TempDir()
	if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); err != nil {
		t.Fatal(err)
	}
	before := rawFiles(t, dir)
	model := &fakeModel{}
	if _, err := Run(context.Background(), dir, model, in, Options{}); err != nil {
		t.Fatal(err)
	}
	if len(model.asked) > 0 {
		t.Errorf("a finished run asked %d requests", len(model.asked))
	}
	after := rawFiles(t, dir)
	for name, data := range before {
		if after[name] != data {
			t.Errorf("%s changed, times included", name)
		}
	}
}

// rawFiles are all files but the lock and progress.json, times included.
func rawFiles(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for name := range artefacts(t, dir) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(data)
	}
	return out
}

func TestDrainKeepsWhatIsInFlight(t *testing.T) {
	in := makeInputs(t, smallPlan())
	want := reference(t, in)
	dir := t.TempDir()
	for attempt := 1; ; attempt++ {
		drain := make(chan struct{})
		model := &fakeModel{shuffle: uint64(attempt)}
		model.onEach = func(n int) {
			if n == 20 {
				close(drain)
			}
		}
		_, err := Run(context.Background(), dir, model, in, Options{Drain: drain})
		if err == nil {
			if attempt < 3 {
				t.Errorf("done in %d attempts; the test stops too little", attempt)
			}
			break
		}
		var stopped *InterruptedError
		if !errors.Is(err, ErrInterrupted) || !errors.As(err, &stopped) || stopped.Cause != nil {
			t.Fatal(err)
		}
		if stopped.Total != 144 || stopped.Done != kept(t, dir, in) {
			t.Errorf("error says %d of %d, the directory keeps %d", stopped.Done, stopped.Total, kept(t, dir, in))
		}
		// Every request that was made is complete.
		if model.yielded != 6*len(model.asked) && attempt == 1 {
			t.Errorf("%d completions of %d requests", model.yielded, len(model.asked))
		}
	}
	sameArtefacts(t, want, artefacts(t, dir))
}

// A stop while the states are read is a stop like any other.
func TestStopBeforeTheFirstCompletion(t *testing.T) {
	in := makeInputs(t, smallPlan())
	drain := make(chan struct{})
	close(drain)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	for name, run := range map[string]func() (*Summary, error){
		"soft": func() (*Summary, error) {
			return Run(context.Background(), dir, &fakeModel{}, in, Options{Drain: drain})
		},
		"hard": func() (*Summary, error) { return Run(ended, dir, &fakeModel{}, in, Options{}) },
	} {
		if _, err := run(); !errors.Is(err, ErrInterrupted) || !strings.HasPrefix(err.Error(), "stopped with 0 of 144") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); err != nil {
		t.Fatal(err)
	}
	sameArtefacts(t, reference(t, in), artefacts(t, dir))
}

// kept counts the completions on disk.
func kept(t testing.TB, dir string, in Inputs) int {
	t.Helper()
	s := &store{dir: dir, study: in.Study}
	m, err := readManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.id = m.ID()
	n := 0
	for _, shard := range in.Study.Shards() {
		if done, err := s.finished(shard); err != nil {
			t.Fatal(err)
		} else if done {
			n += in.Study.ShardSize(shard.Adapter.Source)
			continue
		}
		_, _, err := readCheckpoint(s.path(shard, checkpointFile), s.header(shard), func(g group) error {
			n += len(g.Completions)
			return nil
		})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return n
}

func TestCancelStopsAtOnceAndResumes(t *testing.T) {
	in := makeInputs(t, smallPlan())
	want := reference(t, in)
	dir := t.TempDir()
	attempts := 0
	for done := false; !done; attempts++ {
		ctx, cancel := context.WithCancel(context.Background())
		model := &fakeModel{shuffle: uint64(attempts)}
		model.onEach = func(n int) {
			if n == 25 {
				cancel()
			}
		}
		_, err := Run(ctx, dir, model, in, Options{})
		if done = err == nil; !done {
			if !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if model.yielded > 25 {
				t.Errorf("%d completions were taken after the context ended", model.yielded-25)
			}
			var stopped *InterruptedError
			if errors.As(err, &stopped); stopped.Done != kept(t, dir, in) {
				t.Errorf("error says %d, the directory keeps %d", stopped.Done, kept(t, dir, in))
			}
		}
		cancel()
	}
	if attempts < 4 {
		t.Errorf("done in %d attempts", attempts)
	}
	sameArtefacts(t, want, artefacts(t, dir))
}

func TestResumeAsksOnlyForWhatIsMissing(t *testing.T) {
	in := makeInputs(t, smallPlan())
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	model := &fakeModel{onEach: func(n int) {
		if n == 40 {
			cancel()
		}
	}}
	if _, err := Run(ctx, dir, model, in, Options{}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	have := kept(t, dir, in)
	again := &fakeModel{}
	if _, err := Run(context.Background(), dir, again, in, Options{}); err != nil {
		t.Fatal(err)
	}
	if have == 0 || again.yielded != in.Study.Size()-have {
		t.Errorf("kept %d, then generated %d of %d", have, again.yielded, in.Study.Size())
	}
}

func TestManifestChangeIsRefusedByName(t *testing.T) {
	in := makeInputs(t, smallPlan())
	dir := t.TempDir()
	if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); err != nil {
		t.Fatal(err)
	}
	before := rawFiles(t, dir)
	other := smallPlan()
	other.Temperature, other.Seeds = 0.7, []uint64{42}
	changed := makeInputs(t, other)
	changed.Adapters["source_1"] = File{"x", "cc"}
	changed.Settings = map[string]string{"kv": "q8_0"}
	_, err := Run(context.Background(), dir, &fakeModel{}, changed, Options{})
	if !errors.Is(err, ErrManifest) {
		t.Fatal(err)
	}
	for _, line := range []string{
		"temperature: was 1, now 0.7", "seeds: was [42 137], now [42]",
		"adapters_sha256.source_1: was bbsource_1, now cc", "settings.kv: was none, now q8_0",
	} {
		if !strings.Contains(err.Error(), line) {
			t.Errorf("%q does not say %q", err, line)
		}
	}
	after := rawFiles(t, dir)
	for name := range before {
		if before[name] != after[name] {
			t.Errorf("%s was changed by a refused run", name)
		}
	}
	// A moved model file is no other run.
	moved := makeInputs(t, smallPlan())
	moved.Model.Path = "elsewhere.gguf"
	if _, err := Run(context.Background(), dir, &fakeModel{}, moved, Options{}); err != nil {
		t.Error(err)
	}
}

func TestRunRefusesAFolderWithOtherThings(t *testing.T) {
	dir := t.TempDir()
	own := filepath.Join(dir, taxonomyFile)
	if err := os.WriteFile(own, []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := Run(context.Background(), dir, &fakeModel{}, makeInputs(t, smallPlan()), Options{})
	if !errors.Is(err, ErrManifest) || !strings.Contains(err.Error(), taxonomyFile) {
		t.Errorf("got %v", err)
	}
	if data, _ := os.ReadFile(own); string(data) != "mine" {
		t.Error("the file was overwritten")
	}
}

func TestModelErrorsAreNamedAndNothingIsLost(t *testing.T) {
	in := makeInputs(t, smallPlan())
	cases := map[string]struct {
		spoil func(*engine.Completion) error
		want  string
	}{
		"error":     {func(c *engine.Completion) error { return errors.New("context too short") }, `question "What is <`},
		"unknown":   {func(c *engine.Completion) error { c.ID = "7777"; return nil }, `unknown request "7777"`},
		"index":     {func(c *engine.Completion) error { c.Index = 3; return nil }, "completion 3"},
		"seed":      {func(c *engine.Completion) error { c.Seed = 1; return nil }, "seed 1"},
		"no reason": {func(c *engine.Completion) error { c.Finish = ""; return nil }, "finish reason"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := Run(context.Background(), dir, &spoiledModel{at: 30, spoil: c.spoil}, in, Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "adapter source_0") {
				t.Fatalf("got %v, want %q in it", err, c.want)
			}
			if kept(t, dir, in) == 0 {
				t.Error("what was complete is not kept")
			}
			if _, err := Run(context.Background(), dir, &fakeModel{}, in, Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		_, err := Run(context.Background(), t.TempDir(), &spoiledModel{at: 30, repeat: true}, in, Options{})
		if err == nil || !strings.Contains(err.Error(), "twice") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("short", func(t *testing.T) {
		_, err := Run(context.Background(), t.TempDir(), &spoiledModel{at: 30, end: true}, in, Options{})
		if err == nil || !strings.Contains(err.Error(), "missing") || errors.Is(err, ErrInterrupted) {
			t.Errorf("got %v", err)
		}
	})
}

// spoiledModel does something wrong at a completion.
type spoiledModel struct {
	fakeModel
	at     int
	spoil  func(*engine.Completion) error
	repeat bool
	end    bool
	seen   func(engine.Completion) // those before it; may be nil
}

func (m *spoiledModel) Generate(ctx context.Context, requests iter.Seq[engine.Request]) iter.Seq2[engine.Completion, error] {
	return func(yield func(engine.Completion, error) bool) {
		n := 0
		for c, err := range m.fakeModel.Generate(ctx, requests) {
			if n++; n == m.at {
				switch {
				case m.end:
					return
				case m.repeat:
					if !yield(c, nil) {
						return
					}
				default:
					err = m.spoil(&c)
				}
			}
			if m.seen != nil && n < m.at {
				m.seen(c)
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

func TestLayerBeyondTheModelIsRefusedAtOnce(t *testing.T) {
	p := smallPlan()
	p.Layers = []int{15, 28}
	dir := filepath.Join(t.TempDir(), "run")
	_, err := Run(context.Background(), dir, &fakeModel{}, makeInputs(t, p), Options{})
	if !errors.Is(err, ErrInput) || !strings.Contains(err.Error(), "layers: layer 28: the model has decoder layers 0 to 27") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a refused run left a directory")
	}
}

func TestOneSeedOneSourceNoLayers(t *testing.T) {
	p := smallPlan()
	p.Seeds, p.Sources, p.Layers = []uint64{7}, []string{"source_1"}, nil
	dir := t.TempDir()
	summary, err := Run(context.Background(), dir, &fakeModel{}, makeInputs(t, p), Options{})
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(func(yield func(string) bool) {
		for name := range artefacts(t, dir) {
			if !yield(name) {
				return
			}
		}
	})
	want := []string{
		sums.Name, compiledFile, manifestFile, promptsFile, questionsFile,
		"source_1_seed7/" + sums.Name, "source_1_seed7/" + evalFile, "source_1_seed7/" + rawFile,
		"source_1_seed7/" + summaryFile, taxonomyFile,
	}
	if !slices.Equal(names, want) {
		t.Errorf("files are %v, want %v", names, want)
	}
	if summary.Cosines != nil || summary.Shards["source_1"] != 1 {
		t.Errorf("summary is %+v", summary)
	}
}

func TestTrainingSeedsHaveTheirOwnShards(t *testing.T) {
	p := smallPlan()
	p.Adapters = map[string]Paths{"source_0": {"a", "b"}, "source_1": {"c"}}
	dir := t.TempDir()
	summary, err := Run(context.Background(), dir, &fakeModel{}, makeInputs(t, p), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"source_0_t1_seed42", "source_0_t2_seed137", "source_1_seed42"} {
		if _, err := os.Stat(filepath.Join(dir, folder, summaryFile)); err != nil {
			t.Error(err)
		}
	}
	if summary.Shards["source_0"] != 4 || summary.Cells["source_0"]["category_0"].Total != 2*6*4 {
		t.Errorf("%d shards, cell of %d completions", summary.Shards["source_0"], summary.Cells["source_0"]["category_0"].Total)
	}
	var compiled Compiled
	readTestJSON(t, filepath.Join(dir, compiledFile), &compiled)
	raw, _ := compiled.RawRates.Get("source_0")
	if _, ok := raw.Get("t2_seed137"); !ok || len(raw) != 4 {
		t.Errorf("raw_rates of source_0 are %v", raw)
	}
}

func TestProgressReports(t *testing.T) {
	var log progressLog
	in := makeInputs(t, smallPlan())
	if _, err := Run(context.Background(), t.TempDir(), &fakeModel{}, in, Options{Progress: &log}); err != nil {
		t.Fatal(err)
	}
	var phases []string
	for _, s := range log {
		if len(phases) == 0 || phases[len(phases)-1] != s.Phase {
			phases = append(phases, s.Phase)
		}
	}
	if !slices.Equal(phases, []string{PhaseAdapters, PhaseCentroids, PhaseGenerate, PhaseAnalyse, PhaseDone}) {
		t.Errorf("phases are %v", phases)
	}
	last := log[len(log)-1]
	if last.Done != 144 || last.Total != 144 || last.Tokens == 0 || last.Shards[0].Done != 36 {
		t.Errorf("ends as %+v", last)
	}
	first := slices.IndexFunc(log, func(s Status) bool { return s.Phase == PhaseCentroids })
	if log[first].Shards[0].Finished {
		t.Error("an early report changed later")
	}
}

type progressLog []Status

func (l *progressLog) Report(s Status) { *l = append(*l, s) }
