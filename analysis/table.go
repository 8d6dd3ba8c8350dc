package analysis

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"personaprobe/internal/plaintext"
)

// table is a tidy table: one row per observation, one column per variable. A cell is
// a string, an int64, a float64 or nil, which is an empty CSV cell and a Parquet null.
type table struct {
	name    string
	columns []tableColumn
	rows    [][]any
}

type tableColumn struct {
	name string
	kind reflect.Type
}

var (
	textType  = reflect.TypeFor[*string]()
	countType = reflect.TypeFor[*int64]()
	realType  = reflect.TypeFor[*float64]()
)

func (t *table) column(kind reflect.Type, names ...string) {
	for _, name := range names {
		t.columns = append(t.columns, tableColumn{name, kind})
	}
}

// personaTable has one row per persona and source.
func (f *Full) personaTable() table {
	t := table{name: PersonasTable}
	t.column(textType, "persona_id", "source", "category", "prompt")
	t.column(countType, "n_seeds", "found", "total")
	t.column(realType, "leakage_rate", "wilson_lo", "wilson_hi", "clopper_pearson_lo", "clopper_pearson_hi",
		"question_ci_lo", "question_ci_hi", "interval_lo", "interval_hi")
	t.column(textType, "interval_method")
	var layers, covariates []string
	for name := range f.Layers.All() {
		layers = append(layers, name)
		t.column(realType, "cosine_"+name)
	}
	for name := range f.Covariates.All() {
		covariates = append(covariates, name)
		t.column(realType, name)
	}
	for _, p := range f.Personas {
		row := []any{p.ID, p.Source, p.Category, p.Prompt, int64(p.NumSeeds), count(p.Found), count(p.Total), decimal(p.Rate),
			decimal(p.Wilson.Lower), decimal(p.Wilson.Upper), decimal(p.Exact.Lower), decimal(p.Exact.Upper),
			decimal(p.Question.Lower), decimal(p.Question.Upper),
			decimal(p.Interval.Lower), decimal(p.Interval.Upper), string(p.IntervalMethod)}
		for _, name := range layers {
			v, _ := p.Cosines.Get(name)
			row = append(row, decimal(v))
		}
		for _, name := range covariates {
			v, _ := p.Covariates.Get(name)
			row = append(row, decimal(v))
		}
		t.rows = append(t.rows, row)
	}
	return t
}

// seedTable has one row per persona, source and shard.
func (f *Full) seedTable() table {
	t := table{name: SeedsTable}
	t.column(textType, "persona_id", "source", "category", "shard", "seed")
	t.column(countType, "found", "total")
	t.column(realType, "rate")
	for _, p := range f.Personas {
		for key, s := range p.Seeds.All() {
			// A seed is a 64-bit name, which a spreadsheet would round as a number.
			t.rows = append(t.rows, []any{p.ID, p.Source, p.Category, key, strconv.FormatUint(s.Seed, 10), int64(s.Found), int64(s.Total), s.Rate})
		}
	}
	return t
}

func count(v *int) any {
	if v == nil {
		return nil
	}
	return int64(*v)
}

func decimal(v *float64) any {
	if v == nil {
		return nil
	}
	return *v
}

// csv is the table as RFC 4180 has it, with CRLF.
func (t table) csv() ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	record := make([]string, len(t.columns))
	for i, c := range t.columns {
		record[i] = plaintext.Cell(c.name)
	}
	if err := w.Write(record); err != nil {
		return nil, err
	}
	for _, row := range t.rows {
		for i, cell := range row {
			switch v := cell.(type) {
			case nil:
				record[i] = ""
			case string:
				record[i] = plaintext.Cell(v)
			case int64:
				record[i] = strconv.FormatInt(v, 10)
			case float64:
				record[i] = strconv.FormatFloat(v, 'g', -1, 64)
			}
		}
		if err := w.Write(record); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

// parquet is the table as a Parquet file, in the order of its columns.
func (t table) parquet() ([]byte, error) {
	fields := make([]reflect.StructField, len(t.columns))
	for i, c := range t.columns {
		if strings.ContainsAny(c.name, ",\"`") {
			return nil, fmt.Errorf("column name %q has a comma or a quote", c.name)
		}
		fields[i] = reflect.StructField{
			Name: "C" + strconv.Itoa(i), Type: c.kind,
			Tag: reflect.StructTag(fmt.Sprintf("parquet:%q", c.name+",optional")),
		}
	}
	rowType := reflect.StructOf(fields)
	var b bytes.Buffer
	w := parquet.NewWriter(&b, parquet.SchemaOf(reflect.New(rowType).Interface()), parquet.Compression(&parquet.Zstd))
	for _, cells := range t.rows {
		row := reflect.New(rowType)
		for i, cell := range cells {
			if cell != nil {
				p := reflect.New(fields[i].Type.Elem())
				p.Elem().Set(reflect.ValueOf(cell))
				row.Elem().Field(i).Set(p)
			}
		}
		if err := w.Write(row.Interface()); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
