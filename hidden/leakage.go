package hidden

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
)

// ReadLeakage reads a CSV file with a header: the columns persona and source, and
// either rate or found and total (counts, which rank exactly). Other columns are not
// read. Errors name the line and wrap ErrInput.
func ReadLeakage(path string) ([]Leakage, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read leakage: %w", err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: %s: it has no header: %w", ErrInput, path, err)
	}
	column := func(name string) int { return slices.Index(head, name) }
	persona, source, rate, found, total := column("persona"), column("source"), column("rate"), column("found"), column("total")
	if persona < 0 || source < 0 || rate < 0 && (found < 0 || total < 0) {
		return nil, fmt.Errorf("%w: %s: its columns are %q; want persona, source and either rate or found and total", ErrInput, path, head)
	}
	var out []Leakage
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil { // names the line itself
			return nil, fmt.Errorf("%w: %s: %w", ErrInput, path, err)
		}
		l := Leakage{Persona: cells[persona], Source: cells[source]}
		if found >= 0 && total >= 0 {
			l.Rate, err = quotient(cells[found], cells[total])
		} else {
			l.Rate, err = share(cells[rate])
		}
		if err != nil {
			line, _ := r.FieldPos(0)
			return nil, fmt.Errorf("%w: %s: line %d: %w", ErrInput, path, line, err)
		}
		out = append(out, l)
	}
}

func quotient(found, total string) (float64, error) {
	k, err := strconv.ParseUint(found, 10, 63)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(total, 10, 63)
	if err == nil && (n == 0 || k > n) {
		err = fmt.Errorf("%d of %d is no share", k, n)
	}
	return float64(k) / float64(n), err
}

func share(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err == nil && (math.IsNaN(v) || v < 0 || v > 1) {
		err = fmt.Errorf("%s is no share from 0 to 1", text)
	}
	return v, err
}
