package analysis

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"personaprobe/experiment"
	"personaprobe/internal/sums"
)

// ModelFile is the model behind numbers that the artefacts do not hold.
type ModelFile struct {
	Name       string // for people
	SHA256     string // of the file that was opened; "" if unknown
	AllowOther bool   // than the run's
}

// RunModel is the SHA-256 of the model that the run in dir used, or "" where no
// manifest says it.
func RunModel(dir string) (string, error) {
	data, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var manifest experiment.Manifest
	_ = json.Unmarshal(data, &manifest) // a damaged one names no model
	return manifest.Identity.Model, nil
}

// Check compares the model with the one that the run in dir used. The error matches
// [ErrInput] if that is another, unless this is allowed; note says what a reader of the
// numbers must know, and is "" where the models are the same.
func (m ModelFile) Check(dir string) (note string, err error) {
	want, err := RunModel(dir)
	switch {
	case err != nil:
		return "", err
	case want == "" || m.SHA256 == "":
		return fmt.Sprintf("whether %s is the study's base model is not known: no %s names that with its SHA-256",
			m, manifestFile), nil
	case want == m.SHA256:
		return "", nil
	case m.AllowOther:
		return fmt.Sprintf("%s is not the study's base model (SHA-256 %s)", m, want), nil
	}
	return "", fmt.Errorf("%w: %s is not the base model of the run in %s (SHA-256 %s); "+
		"give that, or --other-model if you mean another", ErrInput, m, dir, want)
}

func (m ModelFile) String() string {
	if m.SHA256 == "" {
		return m.Name
	}
	return fmt.Sprintf("%s (SHA-256 %s)", m.Name, m.SHA256)
}

// noteModel compares the model of the options with the run's, and records it.
func (d *dataset) noteModel(m *ModelFile) error {
	if m == nil {
		return nil
	}
	note, err := m.Check(d.dir)
	if err != nil {
		return err
	}
	if note != "" {
		d.note("%s; the semantic covariate and the ratings of traits are of it", note)
	}
	d.inputs = append(d.inputs, Input{File: m.Name, SHA256: m.SHA256, Option: "model"})
	return nil
}

// OptionFile records a file that an option named, for [Options.Files].
func OptionFile(option, path string) (Input, error) {
	sum, _, err := sums.Check(path)
	return Input{File: filepath.Base(path), SHA256: sum, Option: option}, err
}
