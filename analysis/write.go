package analysis

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"

	"personaprobe/internal/sums"
)

// The files of Full.Write, and the one of ClaimsReport.Write.
const (
	PersonasTable = "personas" // .csv and .parquet: one row per persona and source
	SeedsTable    = "seeds"    // .csv and .parquet: one row per persona, source and shard
	ClaimsFile    = "claims_report.json"
)

// Write writes full_analysis.json, compiled_analysis.json (if rates by seed are
// known), personas.csv and .parquet, and seeds.csv and .parquet into dir, which must
// exist, and returns their names. Files of an earlier Write are replaced. A folder
// without a manifest may hold somebody else's analyses under the same names: those are
// never replaced, and the error then matches fs.ErrExist before anything is written.
func (f *Full) Write(dir string) ([]string, error) {
	if err := f.checkTarget(dir); err != nil {
		return nil, err
	}
	type file struct {
		name string
		make func() ([]byte, error)
	}
	files := []file{{fullFile, func() ([]byte, error) { return encode(f) }}}
	if f.compiled != nil {
		files = append(files, file{compiledFile, func() ([]byte, error) { return encode(f.compiled) }})
	}
	for _, t := range []table{f.personaTable(), f.seedTable()} {
		files = append(files, file{t.name + ".csv", t.csv}, file{t.name + ".parquet", t.parquet})
	}
	b := sums.In(dir) // all or none of them: no half of an analysis is left
	defer b.Abort()
	var names []string
	for _, file := range files {
		data, err := file.make()
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", file.name, err)
		}
		if err := b.Add(file.name, data); err != nil {
			return nil, err
		}
		names = append(names, file.name)
	}
	return names, b.Commit()
}

// checkTarget refuses to replace what this program did not write.
func (f *Full) checkTarget(dir string) error {
	if exists(filepath.Join(dir, manifestFile)) {
		return nil
	}
	path := filepath.Join(dir, fullFile)
	if exists(path) {
		if ours, err := isOurs(path); err != nil || !ours {
			return fmt.Errorf("%s: %w and is not of this program; give another folder to write to", path, fs.ErrExist)
		}
		return nil
	}
	if path = filepath.Join(dir, compiledFile); f.compiled != nil && exists(path) {
		return fmt.Errorf("%s: %w and is not of this program; give another folder to write to", path, fs.ErrExist)
	}
	return nil
}

// Write writes the report as claims_report.json into dir.
func (r *ClaimsReport) Write(dir string) error {
	data, err := encode(r)
	if err != nil {
		return err
	}
	return sums.WriteFile(filepath.Join(dir, ClaimsFile), data)
}

// encode is v as JSON, indented by two spaces and with its text as it is.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// ReadFull reads a full_analysis.json that Write wrote.
func ReadFull(path string) (*Full, error) {
	file, err := sums.Read(path)
	if err != nil {
		return nil, fmt.Errorf("read analysis: %w", err)
	}
	data := file.Data
	var f Full
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, jsonError(path, data, err)
	}
	if f.Format != format {
		return nil, fmt.Errorf("%w: %s has format %d, want %d; analyse the folder again", ErrInput, path, f.Format, format)
	}
	return &f, nil
}
