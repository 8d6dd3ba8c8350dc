package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"personaprobe/models/gguf"
)

// Kind says what a path holds.
type Kind string

// The kinds.
const (
	KindGGUF        Kind = "gguf model"
	KindAdapter     Kind = "gguf adapter"
	KindSafetensors Kind = "safetensors file"
	KindCheckpoint  Kind = "hugging face checkpoint"
	KindPEFT        Kind = "peft adapter"
)

// Info describes a model file, for people (WriteText) and programs (JSON).
type Info struct {
	Path         string        `json:"path"`
	Kind         Kind          `json:"kind"`
	Name         string        `json:"name,omitempty"`
	Architecture string        `json:"architecture,omitempty"`
	Files        []string      `json:"files"`
	Size         int64         `json:"size"` // bytes on disk, of the files above
	Parameters   int64         `json:"parameters"`
	Types        []TypeCount   `json:"types"`           // most bytes first
	Shape        *Shape        `json:"shape,omitempty"` // of a qwen2 model
	Metadata     []MetadataRow `json:"metadata"`
	Tensors      []TensorRow   `json:"tensors"`
}

// TypeCount sums up the tensors of one type.
type TypeCount struct {
	Type       string `json:"type"`
	Tensors    int    `json:"tensors"`
	Parameters int64  `json:"parameters"`
	Bytes      int64  `json:"bytes"`
}

// MetadataRow is a metadata entry. Arrays are cut to their first elements.
type MetadataRow struct {
	Key   string `json:"key"`
	Type  string `json:"type"`            // "uint32", "[]string", "json"
	Count int    `json:"count,omitempty"` // elements of an array
	Value any    `json:"value"`
}

// TensorRow is a tensor. Shape has the slowest dimension first, as in PyTorch.
type TensorRow struct {
	Name  string  `json:"name"`
	Type  string  `json:"type"`
	Shape []int64 `json:"shape"`
	Bytes int64   `json:"bytes"`
}

// Inspect describes a GGUF file (or all parts of a split one), a safetensors
// file, a checkpoint directory or a PEFT directory. It reads headers only.
func Inspect(path string) (*Info, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	kind, err := kindOf(path, info.IsDir())
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	i := &Info{Path: path, Kind: kind}
	if kind == KindGGUF {
		err = i.readGGUF(path)
	} else {
		err = i.readSafetensors(path)
	}
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	i.countTypes()
	return i, nil
}

// kindOf tells files by their content and directories by their configuration.
func kindOf(path string, dir bool) (Kind, error) {
	if dir {
		for _, c := range []struct {
			file string
			kind Kind
		}{{"config.json", KindCheckpoint}, {"adapter_config.json", KindPEFT}} {
			if _, err := os.Stat(filepath.Join(path, c.file)); err == nil {
				return c.kind, nil
			}
		}
		return "", fmt.Errorf("%s has neither config.json nor adapter_config.json: %w", path, fs.ErrNotExist)
	}
	err := checkMagic(path)
	if err == nil {
		return KindGGUF, nil
	}
	if filepath.Ext(path) == ".safetensors" || !errors.Is(err, ErrFormat) {
		return KindSafetensors, nil // opening it will tell what is wrong
	}
	return "", err
}

func (i *Info) readGGUF(path string) error {
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	i.Files, i.Size = f.Parts, f.Size
	i.Name, _ = f.String("general.name")
	i.Architecture, _ = f.String("general.architecture")
	if kind, _ := f.String("general.type"); kind == "adapter" {
		i.Kind = KindAdapter
	} else if shape, err := ShapeOf(f); err == nil {
		i.Shape = &shape
	}
	for _, kv := range f.Metadata {
		i.Metadata = append(i.Metadata, metadataRow(kv))
	}
	for _, t := range f.Tensors {
		shape := slices.Clone(t.Shape)
		slices.Reverse(shape)
		i.Tensors = append(i.Tensors, TensorRow{t.Name, t.Type.String(), shape, t.Bytes()})
		i.Parameters += t.Elements()
	}
	return nil
}

func (i *Info) readSafetensors(path string) error {
	f, files, err := openSafetensors(path, i.Kind)
	if err != nil {
		return err
	}
	defer f.Close()
	i.Files, i.Size = files, f.Size
	for _, key := range sortedKeys(f.Metadata) {
		i.Metadata = append(i.Metadata, MetadataRow{Key: key, Type: "string", Value: f.Metadata[key]})
	}
	for _, t := range f.Tensors {
		i.Tensors = append(i.Tensors, TensorRow{t.Name, string(t.DType), t.Shape, t.Bytes()})
		i.Parameters += t.Elements()
	}
	switch i.Kind {
	case KindCheckpoint:
		return i.readConfig(filepath.Join(path, "config.json"))
	case KindPEFT:
		return i.readConfig(filepath.Join(path, "adapter_config.json"))
	}
	return nil
}

// readConfig adds the keys of a JSON configuration to the metadata.
func (i *Info) readConfig(path string) error {
	var values map[string]any
	if err := readJSON(path, &values); err != nil {
		return err
	}
	for _, key := range sortedKeys(values) {
		i.Metadata = append(i.Metadata, MetadataRow{Key: key, Type: "json", Value: values[key]})
	}
	i.Name = filepath.Base(filepath.Dir(path))
	if i.Kind != KindCheckpoint {
		return nil
	}
	i.Architecture, _ = values["model_type"].(string)
	if config, err := readConfig(filepath.Dir(path)); err == nil {
		shape := config.shape()
		i.Shape = &shape
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// shownElements of a metadata array are kept.
const shownElements = 8

func metadataRow(kv gguf.KV) MetadataRow {
	row := MetadataRow{Key: kv.Key, Type: fmt.Sprintf("%T", kv.Value), Value: kv.Value}
	switch v := kv.Value.(type) {
	case []string:
		row.Count, row.Value = len(v), v[:min(len(v), shownElements)]
	case []uint8:
		shown := []int{} // JSON would write bytes as base64
		for _, x := range v[:min(len(v), shownElements)] {
			shown = append(shown, int(x))
		}
		row.Count, row.Value = len(v), shown
	case []int32:
		row.Count, row.Value = len(v), v[:min(len(v), shownElements)]
	case []float32:
		row.Count, row.Value = len(v), v[:min(len(v), shownElements)]
	}
	if _, err := json.Marshal(row.Value); err != nil {
		row.Value = fmt.Sprint(row.Value) // NaN and infinities have no JSON form
	}
	return row
}

func (i *Info) countTypes() {
	index := map[string]int{}
	for _, t := range i.Tensors {
		n, ok := index[t.Type]
		if !ok {
			n = len(i.Types)
			index[t.Type] = n
			i.Types = append(i.Types, TypeCount{Type: t.Type})
		}
		count := &i.Types[n]
		count.Tensors++
		count.Bytes += t.Bytes
		elements := int64(1)
		for _, d := range t.Shape {
			elements *= d
		}
		count.Parameters += elements
	}
	slices.SortStableFunc(i.Types, func(a, b TypeCount) int { return int(min(1, max(-1, b.Bytes-a.Bytes))) })
}
