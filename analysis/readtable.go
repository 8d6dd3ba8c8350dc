package analysis

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"personaprobe/internal/sums"
)

// tableRow is a row of a CSV file or an object of a JSON list, its values as the text
// that the file has: 0.50 is not 0.5 to one who asks for its decimals.
type tableRow struct {
	where  string // file:line, or file: rows[3]
	fields map[string]string
}

// value is the number in the row's field.
func (r tableRow) value(field string) (v float64, given bool, err error) {
	text := r.fields[field]
	if text == "" {
		return 0, false, nil
	}
	v, err = strconv.ParseFloat(strings.TrimPrefix(text, "+"), 64)
	if err != nil || v != v || v-v != 0 {
		return 0, false, fmt.Errorf("%w: %s: %s is %q; want a number", ErrInput, r.where, field, text)
	}
	return v, true, nil
}

// readTable reads rows from CSV with a header, or from JSON: a list of objects, or an
// object with such lists under the given keys. Which it is the name's ending says.
func readTable(path string, keys ...string) ([]tableRow, error) {
	f, err := sums.Read(path)
	if err != nil {
		return nil, err
	}
	data := f.Data
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%w: %s is not valid UTF-8; save it as UTF-8", ErrInput, path)
	}
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		return readCSV(path, data)
	case ".json":
		return readRows(path, data, keys)
	}
	return nil, fmt.Errorf("%w: %s: want a name that ends in .json or .csv", ErrInput, path)
}

func readCSV(path string, data []byte) ([]tableRow, error) {
	reader := csv.NewReader(bytes.NewReader(data))
	reader.TrimLeadingSpace = true
	header, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: %s: want a header line: %w", ErrInput, path, err)
	}
	var rows []tableRow
	for {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrInput, path, err)
		}
		line, _ := reader.FieldPos(0)
		row := tableRow{where: fmt.Sprintf("%s:%d", filepath.Base(path), line), fields: make(map[string]string)}
		for i, text := range record {
			row.fields[strings.TrimSpace(header[i])] = strings.TrimSpace(text)
		}
		rows = append(rows, row)
	}
}

func readRows(path string, data []byte, keys []string) ([]tableRow, error) {
	var root json.RawMessage
	if err := json.Unmarshal(data, &root); err != nil {
		return nil, jsonError(path, data, err)
	}
	if root[0] == '[' {
		return decodeRows(path, "", root)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(root, &object); err != nil {
		return nil, jsonError(path, data, err)
	}
	var rows []tableRow
	found := false
	for _, key := range keys {
		if list, ok := object[key]; ok {
			found = true
			more, err := decodeRows(path, key, list)
			if err != nil {
				return nil, err
			}
			rows = append(rows, more...)
		}
	}
	if !found {
		return nil, fmt.Errorf("%w: %s: want a list of objects, or one under %q", ErrInput, path, strings.Join(keys, `" or "`))
	}
	return rows, nil
}

func decodeRows(path, key string, list json.RawMessage) ([]tableRow, error) {
	var objects []map[string]any
	decoder := json.NewDecoder(bytes.NewReader(list))
	decoder.UseNumber()
	if err := decoder.Decode(&objects); err != nil {
		return nil, fmt.Errorf("%w: %s: %s: want a list of objects", ErrInput, path, key)
	}
	rows := make([]tableRow, len(objects))
	for i, object := range objects {
		rows[i] = tableRow{where: fmt.Sprintf("%s: %s[%d]", filepath.Base(path), key, i), fields: make(map[string]string)}
		for name, v := range object {
			switch v := v.(type) {
			case string:
				rows[i].fields[name] = strings.TrimSpace(v)
			case json.Number:
				rows[i].fields[name] = v.String()
			}
		}
	}
	return rows, nil
}

// ReadOcean reads Big Five scores. JSON: {persona id: {O, C, E, A, N}} or
// {persona id: [O, C, E, A, N]}. CSV: a header persona_id,O,C,E,A,N. Scores of the
// sources, under their ids, give distances too. Every persona needs all five.
func ReadOcean(path string) (OceanScores, error) {
	f, err := sums.Read(path)
	if err != nil {
		return nil, fmt.Errorf("read scores: %w", err)
	}
	data := f.Data
	out := make(OceanScores)
	if strings.EqualFold(filepath.Ext(path), ".csv") {
		rows, err := readCSV(path, data)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if err := out.add(row.where, row.fields["persona_id"], row); err != nil {
				return nil, err
			}
		}
	} else if err := out.decode(path, data); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s has no scores", ErrInput, path)
	}
	return out, nil
}

func (o OceanScores) decode(path string, data []byte) error {
	var personas Ordered[any]
	if err := json.Unmarshal(data, &personas); err != nil {
		return jsonError(path, data, err)
	}
	for id, v := range personas.All() {
		row := tableRow{where: path + ": " + id, fields: make(map[string]string)}
		switch v := v.(type) {
		case map[string]any:
			for name, score := range v {
				row.fields[name] = fmt.Sprint(score)
			}
		case []any:
			if len(v) != len(Traits) {
				return fmt.Errorf("%w: %s: %d scores; want 5: O, C, E, A, N", ErrInput, row.where, len(v))
			}
			for k, score := range v {
				row.fields[Traits[k]] = fmt.Sprint(score)
			}
		}
		if err := o.add(row.where, id, row); err != nil {
			return err
		}
	}
	return nil
}

func (o OceanScores) add(where, id string, row tableRow) error {
	if id == "" {
		return fmt.Errorf("%w: %s: no persona_id", ErrInput, where)
	}
	if _, twice := o[id]; twice {
		return fmt.Errorf("%w: %s: the persona %s occurs twice", ErrInput, where, id)
	}
	var scores [5]float64
	for k, trait := range Traits {
		v, given, err := row.value(trait)
		if err != nil {
			return err
		}
		if !given {
			return fmt.Errorf("%w: %s: the score %s is missing; leave a persona out that has not all of O, C, E, A, N", ErrInput, where, trait)
		}
		scores[k] = v
	}
	o[id] = scores
	return nil
}

const defaultThreshold = 0.10

func (r *AnchorReference) threshold() float64 {
	if r.Threshold == 0 {
		return defaultThreshold
	}
	return r.Threshold
}

// ReadAnchorReference reads the rates to compare anchors with, from CSV or JSON with
// the columns adapter and anchor (source ids) and reference_rate (a share). JSON is a
// list of objects, or an object with that list under "rows" and, optionally, a
// "threshold".
func ReadAnchorReference(path string) (*AnchorReference, error) {
	rows, err := readTable(path, "rows")
	if err != nil {
		return nil, fmt.Errorf("read anchor reference: %w", err)
	}
	out := &AnchorReference{Rates: make(map[[2]string]float64)}
	for _, row := range rows {
		adapter, anchor := row.fields["adapter"], strings.TrimPrefix(row.fields["anchor"], anchorPrefix)
		rate, given, err := row.value("reference_rate")
		if err != nil {
			return nil, err
		}
		key := [2]string{adapter, anchor}
		_, twice := out.Rates[key]
		switch {
		case adapter == "" || anchor == "" || !given:
			return nil, fmt.Errorf("%w: %s: want adapter, anchor and reference_rate", ErrInput, row.where)
		case twice:
			return nil, fmt.Errorf("%w: %s: adapter %s and anchor %s occur twice", ErrInput, row.where, adapter, anchor)
		case rate < 0 || rate > 1:
			return nil, fmt.Errorf("%w: %s: reference_rate is %v; want a share from 0 to 1", ErrInput, row.where, rate)
		}
		out.Rates[key] = rate
	}
	var head struct{ Threshold float64 }
	if data, err := os.ReadFile(path); err == nil && json.Unmarshal(data, &head) == nil {
		out.Threshold = head.Threshold
	}
	return out, nil
}
