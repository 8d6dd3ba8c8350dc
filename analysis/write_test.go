package analysis

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/parquet-go/parquet-go"
)

// parquetReals reads the columns of decimals of a Parquet file.
func parquetReals(t *testing.T, path string) map[string][]float64 {
	t.Helper()
	out := map[string][]float64{}
	for _, row := range parquetRows(t, path) {
		for name, v := range row {
			if f, ok := v.(float64); ok {
				out[name] = append(out[name], f)
			}
		}
	}
	return out
}

func parquetRows(t *testing.T, path string) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	for _, g := range file.RowGroups() {
		rows := g.Rows()
		buffer := make([]parquet.Row, g.NumRows())
		n, _ := rows.ReadRows(buffer)
		for _, row := range buffer[:n] {
			values := map[string]any{}
			for _, v := range row {
				name := file.Schema().Columns()[v.Column()][0]
				switch {
				case v.IsNull():
					values[name] = nil
				case v.Kind() == parquet.Double:
					values[name] = v.Double()
				case v.Kind() == parquet.Int64:
					values[name] = v.Int64()
				default:
					values[name] = v.String()
				}
			}
			out = append(out, values)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The tables are tidy, and CSV and Parquet say the same.
func TestTables(t *testing.T) {
	f := analyse(t, smallDesign().write(t), quick)
	dir := t.TempDir()
	if _, err := f.Write(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"personas": 2*3*4 + 2*2, "seeds": 3 * (2*3*4 + 2*2)} {
		data, err := os.ReadFile(filepath.Join(dir, name+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		lines, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		rows := parquetRows(t, filepath.Join(dir, name+".parquet"))
		if len(lines) != want+1 || len(rows) != want {
			t.Fatalf("%s: %d lines of CSV, %d rows of Parquet, want %d rows", name, len(lines), len(rows), want)
		}
		for i, row := range rows {
			if len(row) != len(lines[0]) {
				t.Fatalf("%s: %d columns of CSV, %d of Parquet", name, len(lines[0]), len(row))
			}
			for k, column := range lines[0] {
				if cell := cellText(row[column]); cell != lines[i+1][k] {
					t.Errorf("%s row %d: %s is %q in CSV and %q in Parquet", name, i, column, lines[i+1][k], cell)
				}
			}
		}
	}
}

func cellText(v any) string {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case string:
		return v
	}
	return ""
}

// A cell that a spreadsheet would run is made text.
func TestFormulasAreText(t *testing.T) {
	table := table{rows: [][]any{{"=1+1", "You are a clown."}}}
	table.column(textType, "a", "b")
	data, err := table.csv()
	if err != nil || string(data) != "a,b\r\n'=1+1,You are a clown.\r\n" {
		t.Errorf("%v %q", err, data)
	}
}

// The same files and options give the same bytes, whatever the number of processors,
// and what is written is read back.
func TestSameBytes(t *testing.T) {
	dir := smallDesign().write(t)
	first := analyse(t, dir, quick)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	second := analyse(t, dir, quick)
	a, err := encode(first)
	if err != nil {
		t.Fatal(err)
	}
	b, err := encode(second)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("two analyses differ")
	}
	out := t.TempDir()
	if _, err := first.Write(out); err != nil {
		t.Fatal(err)
	}
	read, err := ReadFull(filepath.Join(out, fullFile))
	if err != nil {
		t.Fatal(err)
	}
	c, err := encode(read)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, c) {
		t.Error("full_analysis.json does not read back as it was")
	}
}

// Somebody else's files are never replaced; our own are.
func TestForeignFilesStay(t *testing.T) {
	f := analyse(t, smallDesign().write(t), quick)
	for _, name := range []string{fullFile, compiledFile} {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, name), `{"experiment": "theirs"}`)
		if _, err := f.Write(dir); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v, want fs.ErrExist", name, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 1 {
			t.Errorf("%s: %d files, want the one that was there", name, len(entries))
		}
	}
	dir := t.TempDir()
	for range 2 {
		if _, err := f.Write(dir); err != nil {
			t.Error(err)
		}
	}
}
