package hidden

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"personaprobe/engine"
	"personaprobe/internal/atomicfile"
	"personaprobe/internal/dirlock"
	"personaprobe/internal/sums"
	"personaprobe/models/safetensors"
)

var (
	// ErrChanged marks an output directory that belongs to another job.
	ErrChanged = errors.New("the output directory belongs to another job")
	// ErrDir marks one that is damaged, of another version, or no directory.
	ErrDir = errors.New("unusable output directory")
)

// Job is everything that determines an extraction's bytes; job.json in the output
// directory.
type Job struct {
	FormatVersion int    `json:"format_version"`
	Model         string `json:"model"` // name, for people
	ModelSHA256   string `json:"model_sha256"`
	Adapter       string `json:"adapter,omitempty"` // name; empty: the base model
	AdapterSHA256 string `json:"adapter_sha256,omitempty"`

	Layers     []int             `json:"layers"` // 0-based; states are these decoder layers' outputs
	HiddenSize int               `json:"hidden_size"`
	Position   Position          `json:"position"`
	DType      safetensors.DType `json:"dtype"`
	Formats    []Format          `json:"formats"`

	Prompts       int    `json:"prompts"`
	PromptsSHA256 string `json:"prompts_sha256"`
	IDsSHA256     string `json:"ids_sha256,omitempty"` // of the rendered prompts' tokens; "" in jobs of older builds

	// Date is where the chat template's clock stands, RFC 3339 in UTC. It is not compared:
	// ClockDate is, which is the same date where the template reads the clock, else "".
	Date      string `json:"date,omitempty"`
	ClockDate string `json:"clock_date,omitempty"`

	Response *JobResponse `json:"response,omitempty"` // for the positions of a response

	// Batch is that of the options where a GPU computes: the bits of a product may depend on
	// its rows. 0 is the engine's own.
	Batch int `json:"batch,omitempty"`

	Device   string            `json:"device"`
	Settings map[string]string `json:"settings"` // the engine's
}

// JobResponse says how a job's responses are generated.
type JobResponse struct {
	MaxTokens   int      `json:"max_tokens"`
	Temperature float32  `json:"temperature"`
	TopP        float32  `json:"top_p"`
	Seeds       []uint64 `json:"seeds"`
	N           int      `json:"n"`
}

const (
	jobName       = "job.json"
	dateKey       = "date" // of a job's fields
	formatVersion = 1
)

// newJob describes the job. It reads the model's file once, for its hash.
func newJob(ctx context.Context, e *engine.Engine, o *ExtractOptions, s *survey) (*Job, error) {
	j := &Job{
		FormatVersion: formatVersion, Model: e.Name(), Adapter: o.Adapter,
		Layers: o.Layers, HiddenSize: e.Info().Hidden, Position: o.Position, DType: o.DType, Formats: o.Formats,
		Prompts: s.prompts, PromptsSHA256: s.sha256, IDsSHA256: s.ids, Device: e.Device(),
		Date: e.Options().Date.Format(time.RFC3339),
	}
	if s.clock {
		j.ClockDate = j.Date
	}
	if e.GPUs() > 0 {
		j.Batch = o.Batch
	}
	if o.Position.ofResponse() {
		r := &o.Response
		j.Response = &JobResponse{r.MaxTokens, r.Sampling.Temperature, r.Sampling.TopP, r.Seeds, r.N}
	}
	var err error
	if j.Settings, err = e.Settings(); err != nil {
		return nil, err
	}
	if j.ModelSHA256, err = e.SHA256(ctx, ""); err != nil {
		return nil, err
	}
	if o.Adapter != "" {
		j.AdapterSHA256, err = e.SHA256(ctx, o.Adapter)
	}
	return j, err
}

// rowBytes is the size of a row at one layer.
func (j *Job) rowBytes() int64 {
	kind, _ := j.DType.GGML()
	return kind.Bytes(int64(j.HiddenSize))
}

// DateOf is the date of the job in dir, where the clock of its chat template stands; zero
// where there is no job, or one of a build that kept none.
func DateOf(dir string) (time.Time, error) {
	j, err := readJob(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && j.Date == "" {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: %w", ErrDir, err)
	}
	date, err := time.Parse(time.RFC3339, j.Date)
	if err != nil {
		return date, fmt.Errorf("%w: %s: date: %w", ErrDir, filepath.Join(dir, jobName), err)
	}
	return date, nil
}

// claim makes dir the job's, or checks that it is: an empty or new directory gets a
// job.json, one with another job's is refused with what differs.
func (j *Job) claim(dir string) error {
	err := j.check(dir)
	if errors.Is(err, fs.ErrNotExist) {
		data, err := json.MarshalIndent(j, "", "  ")
		if err != nil {
			return err
		}
		return atomicfile.WriteFile(filepath.Join(dir, jobName), append(data, '\n'))
	}
	return err
}

// check reports whether dir is the job's: nil if it is, an error that matches
// fs.ErrNotExist if it can be made so, another one if it must be left alone.
func (j *Job) check(dir string) error {
	have, err := readJob(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := checkEmpty(dir); err != nil {
			return err
		}
		return fs.ErrNotExist
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDir, err)
	}
	differences, err := j.differences(have)
	if err != nil {
		return err
	}
	if len(differences) > 0 {
		return fmt.Errorf("%w: %s: %s; use another directory", ErrChanged, dir, strings.Join(differences, "; "))
	}
	return nil
}

func readJob(dir string) (*Job, error) {
	path := filepath.Join(dir, jobName)
	f, err := sums.Read(path)
	if err != nil {
		return nil, err
	}
	var j Job
	if err := json.Unmarshal(f.Data, &j); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrState, path, err)
	}
	if j.FormatVersion != formatVersion {
		return nil, fmt.Errorf("%w: %s: format version %d, this program reads %d", ErrState, path, j.FormatVersion, formatVersion)
	}
	if err := j.validate(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrState, path, err)
	}
	return &j, nil
}

// validate reports what no job has: the file may come from strangers.
func (j *Job) validate() error {
	const maxHidden, maxLayers = 1 << 20, 1 << 12
	if j.HiddenSize < 1 || j.HiddenSize > maxHidden {
		return fmt.Errorf("hidden_size is %d, not between 1 and %d", j.HiddenSize, maxHidden)
	}
	if len(j.Layers) == 0 || len(j.Layers) > maxLayers || slices.Min(j.Layers) < 0 {
		return errors.New("layers must be some numbers from 0")
	}
	if _, ok := npyTypes[j.DType]; !ok {
		return fmt.Errorf("dtype is %q", j.DType)
	}
	return nil
}

// checkEmpty refuses a directory with anything in it but our lock and what a killed
// process leaves before its job.json.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if name != dirlock.Name && !strings.HasPrefix(name, "."+jobName+atomicfile.TempInfix) {
			return fmt.Errorf("%w: %s has no %s, but it is not empty (%s); use another directory", ErrChanged, dir, jobName, name)
		}
	}
	return nil
}

// differences names the fields in which a job differs from the one in the
// directory. The model's name and the date are for people: its hash and clock_date
// decide.
func (j *Job) differences(have *Job) ([]string, error) {
	want, err := j.fields()
	if err != nil {
		return nil, err
	}
	old, err := have.fields()
	if err != nil {
		return nil, err
	}
	keys := maps.Clone(old)
	maps.Copy(keys, want)
	var out []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if key != "model" && key != dateKey && string(want[key]) != string(old[key]) {
			out = append(out, fmt.Sprintf("%s is %s, was %s", key, orNone(want[key]), orNone(old[key])))
		}
	}
	return out, nil
}

func orNone(v json.RawMessage) string {
	if len(v) == 0 {
		return "not given"
	}
	return string(v)
}

func (j *Job) fields() (map[string]json.RawMessage, error) {
	data, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	var m map[string]json.RawMessage
	return m, json.Unmarshal(data, &m)
}
