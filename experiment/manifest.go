package experiment

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"personaprobe/internal/atomicfile"
	"personaprobe/internal/dirlock"
	"personaprobe/internal/sums"
)

// ErrLocked marks a run directory in which another process works.
var ErrLocked = dirlock.ErrLocked

// ErrManifest marks a run directory that was begun with something else than what is
// to be run now.
var ErrManifest = errors.New("run directory belongs to another run")

// manifestFormat is the version of the run directory's layout.
const manifestFormat = 1

const (
	manifestFile  = "manifest.json"
	taxonomyFile  = "taxonomy.json"
	questionsFile = "questions.json"
)

// File is a file with the hash of its content.
type File struct {
	Path   string // as opened; not compared
	SHA256 string // lower-case hex
}

// Inputs are what a run is made of, ready to be run: the study, and what the caller
// knows of the model it opened.
type Inputs struct {
	Study    *Study
	Model    File            // base model
	Name     string          // the base model's name in the artefacts; "": its file's
	Adapters map[string]File // by Adapter.Name
	Build    string          // program version or revision: another build may give other bytes
	Device   string          // what computes, such as "cpu x86-64-v3" or "NVIDIA H200"
	GPUs     int             // devices that are paid for while it computes; 0 on a CPU
	Rows     int             // declared rows of a decoding step; 0 if the device needs none
	// Settings are further choices that bear on the bytes, such as the cache's type.
	Settings map[string]string
	Date     time.Time // where the chat template's clock stands
	Prompts  *Prompts  // the study's, rendered

	effects map[string]AdapterEffect // of a run that begins; Run measures them
}

// Validate reports a missing study, hash or build.
func (in Inputs) Validate() error {
	switch {
	case in.Study == nil:
		return errors.New("inputs have no study")
	case in.Model.SHA256 == "":
		return errors.New("inputs have no hash of the model")
	case in.Build == "" || in.Device == "":
		return errors.New("inputs do not name the build and the device")
	case in.Prompts == nil || in.Date.IsZero():
		return errors.New("inputs have no rendered prompts or no date")
	}
	for _, a := range in.Study.Adapters() {
		if in.Adapters[a.Name()].SHA256 == "" {
			return fmt.Errorf("inputs have no hash of the adapter %s", a.Name())
		}
	}
	return nil
}

// Manifest is manifest.json.
type Manifest struct {
	Format  int               `json:"format"`
	Created string            `json:"created"`    // RFC 3339, UTC; not compared
	Date    string            `json:"date"`       // where the chat template's clock stands, RFC 3339, UTC; not compared
	Base    string            `json:"base_model"` // name; not compared
	Paths   map[string]string `json:"paths"`      // where the files were; not compared
	Plan    Plan              `json:"plan"`       // as resolved, paths absolute; not compared, ResumePlan reads it
	// PromptWarnings say what the chat template adds to prompts that nobody wrote.
	PromptWarnings []string `json:"prompt_warnings,omitempty"`
	Identity       Identity `json:"identity"`

	// Effects are measured when a run begins, by Adapter.Name; not compared. Nil in a
	// manifest of a build that did not measure them.
	Effects map[string]AdapterEffect `json:"adapter_effects,omitempty"`
}

// Identity is everything that determines the bytes of a run.
type Identity struct {
	Model          string            `json:"model_sha256"`
	Adapters       map[string]string `json:"adapters_sha256"` // by Adapter.Name
	Taxonomy       string            `json:"taxonomy_sha256"`
	Questions      string            `json:"questions_sha256"`
	Prompts        string            `json:"prompts_sha256,omitempty"` // of prompts.jsonl; "" in runs of older builds
	Date           string            `json:"date,omitempty"`           // the manifest's, only where the chat template reads the clock
	Sources        []string          `json:"sources"`
	NumQuestions   int               `json:"n_questions"`
	NumCompletions int               `json:"n_completions"`
	Seeds          []uint64          `json:"seeds"`
	Layers         []int             `json:"layers"`
	Temperature    float64           `json:"temperature"`
	TopP           float64           `json:"top_p"`
	MaxTokens      int               `json:"max_tokens"`
	Marker         string            `json:"marker"`
	Build          string            `json:"build"`
	Device         string            `json:"device"`
	Rows           int               `json:"rows"`
	Settings       map[string]string `json:"settings"`
}

// manifest is the inputs' manifest, created now.
func (in Inputs) manifest(now time.Time) Manifest {
	s, p := in.Study, in.Study.Plan
	m := Manifest{
		Format: manifestFormat, Created: now.UTC().Format(time.RFC3339), Plan: p.absolute(),
		Date: in.Date.UTC().Format(time.RFC3339), PromptWarnings: in.Prompts.Warnings,
		Paths: map[string]string{
			"model": in.Model.Path, "personas": s.Taxonomy.Document.Name, "questions": s.document.Name,
		},
		Identity: Identity{
			Model: in.Model.SHA256, Adapters: make(map[string]string),
			Taxonomy: s.Taxonomy.Document.SHA256(), Questions: s.document.SHA256(), Prompts: in.Prompts.SHA256,
			Sources: s.Sources(), NumQuestions: p.NumQuestions, NumCompletions: p.NumCompletions,
			Seeds: p.Seeds, Layers: append([]int{}, p.Layers...),
			Temperature: p.Temperature, TopP: p.TopP, MaxTokens: p.MaxTokens, Marker: p.Marker,
			Build: in.Build, Device: in.Device, Rows: in.Rows,
			Settings: maps.Clone(in.Settings),
		},
		Effects: in.effects,
	}
	if m.Base = in.Name; m.Base == "" {
		m.Base = filepath.Base(in.Model.Path)
	}
	if in.Prompts.Clock {
		m.Identity.Date = m.Date
	}
	if m.Identity.Settings == nil {
		m.Identity.Settings = map[string]string{}
	}
	for _, a := range s.Adapters() {
		m.Paths["adapter "+a.Name()] = in.Adapters[a.Name()].Path
		m.Identity.Adapters[a.Name()] = in.Adapters[a.Name()].SHA256
	}
	return m
}

// ID is the hash of the identity; parts of a run directory carry it, so that they
// cannot be mixed with those of another.
func (m Manifest) ID() string {
	data, err := json.Marshal(m.Identity)
	if err != nil {
		panic("experiment: an identity is always JSON: " + err.Error()) // strings, finite numbers, maps of them
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// readManifest reads the directory's manifest; the error matches fs.ErrNotExist if
// there is none.
func readManifest(dir string) (Manifest, error) {
	var m Manifest
	if err := readJSON(filepath.Join(dir, manifestFile), &m); err != nil {
		return m, err
	}
	if m.Format != manifestFormat {
		return m, fmt.Errorf("%s: format %d, this program reads %d: use the build that began the run",
			filepath.Join(dir, manifestFile), m.Format, manifestFormat)
	}
	return m, nil
}

// settle compares the directory's manifest with m, or begins a run with m if there is
// none.
func settle(dir string, m Manifest, in Inputs) (Manifest, error) {
	old, err := readManifest(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := checkEmpty(dir); err != nil {
			return m, err
		}
		if err := writeJSON(filepath.Join(dir, manifestFile), m); err != nil {
			return m, err
		}
		old = m
	case err != nil:
		return m, fmt.Errorf("%w: %w", ErrRunDir, err)
	}
	if changes := old.Identity.changes(m.Identity); len(changes) > 0 {
		for i := range changes {
			if changes[i].Field == promptsField {
				changes[i].Detail = in.Prompts.difference(filepath.Join(dir, promptsFile))
			}
		}
		return m, &ManifestError{Dir: dir, Changes: changes}
	}
	return old, nil
}

// checkEmpty refuses a folder with other things in it, which a run might overwrite.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != dirlock.Name && e.Name() != sums.LockName && !atomicfile.IsTemp(e.Name()) {
			return fmt.Errorf("%w: %s holds %s and no %s; choose an empty directory", ErrManifest, dir, e.Name(), manifestFile)
		}
	}
	return nil
}

// Change is one field in which two identities differ.
type Change struct {
	Field    string // as in manifest.json
	Old, New string
	Detail   string // of a hash: what differs; "" if it is not known
}

// ManifestError says how a run directory differs from what is to be run; it matches
// ErrManifest.
type ManifestError struct {
	Dir     string
	Changes []Change
}

// rowsField is the setting that follows from the number of slots, where that is left open
// from the memory of the day.
const rowsField = "settings.rows"

// promptsField is the hash of the rendered prompts.
const promptsField = "prompts_sha256"

// maxChanges keeps the message within a few lines of a terminal.
const maxChanges = 5

func (e *ManifestError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s was begun with other inputs; use another directory, or the same inputs to go on", e.Dir)
	for i, c := range e.Changes {
		if i == maxChanges {
			fmt.Fprintf(&b, "; and %d more changes", len(e.Changes)-i)
			break
		}
		fmt.Fprintf(&b, "; %s: was %s, now %s", c.Field, c.Old, c.New)
		if c.Field == rowsField {
			fmt.Fprintf(&b, " (give %s slots)", c.Old)
		}
		if c.Detail != "" {
			fmt.Fprintf(&b, " (%s)", c.Detail)
		}
	}
	return b.String()
}

// Is makes every ManifestError match ErrManifest.
func (e *ManifestError) Is(target error) bool { return target == ErrManifest }

// changes lists the fields in which the identities differ; maps are compared key by
// key.
func (id Identity) changes(other Identity) []Change {
	var out []Change
	a, b := reflect.ValueOf(id), reflect.ValueOf(other)
	for field, value := range a.Fields() {
		name := field.Tag.Get("json")
		now := b.FieldByIndex(field.Index).Interface()
		was, isMap := value.Interface().(map[string]string)
		if nowMap, ok := now.(map[string]string); ok && isMap {
			out = append(out, mapChanges(name, was, nowMap)...)
			continue
		}
		if !reflect.DeepEqual(value.Interface(), now) {
			name, _, _ = strings.Cut(name, ",")
			out = append(out, Change{Field: name, Old: orNone(fmt.Sprint(value.Interface())), New: orNone(fmt.Sprint(now))})
		}
	}
	return out
}

func mapChanges(name string, was, now map[string]string) []Change {
	keys := make(map[string]bool)
	for _, m := range []map[string]string{was, now} {
		for k := range m {
			keys[k] = true
		}
	}
	var out []Change
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if was[k] != now[k] {
			out = append(out, Change{Field: name + "." + k, Old: orNone(was[k]), New: orNone(now[k])})
		}
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
