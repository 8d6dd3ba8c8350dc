package hidden

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/parquet-go/parquet-go"
)

// Row says what a row of the arrays is: a line of rows.jsonl and a record of
// rows.parquet, which hold the same.
type Row struct {
	Row      int64  `json:"row" parquet:"row"` // number in the arrays, from 0
	ID       string `json:"id" parquet:"id"`   // the prompt's
	Persona  string `json:"persona,omitempty" parquet:"persona,optional"`
	Question string `json:"question,omitempty" parquet:"question,optional"`
	Group    string `json:"group,omitempty" parquet:"group,optional"`

	// Position is the token's place in prompt and response together, from 0, and
	// TokenID its id; both are null for a mean. Tokens is how many entered the row.
	Position *int32 `json:"position" parquet:"position,optional"`
	TokenID  *int32 `json:"token_id" parquet:"token_id,optional"`
	Tokens   int32  `json:"tokens" parquet:"tokens"`

	// Seed and Completion tell the responses to one prompt apart; null without one.
	Seed       *uint64 `json:"seed,omitempty" parquet:"seed,optional"`
	Completion *int32  `json:"completion,omitempty" parquet:"completion,optional"`
}

// rowsOf streams the index in a file, in order.
func rowsOf(path string) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Row{}, err)
			return
		}
		defer f.Close()
		d := json.NewDecoder(bufio.NewReaderSize(f, 1<<18))
		for n := 1; ; n++ {
			var r Row
			err := d.Decode(&r)
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil && r.Row != int64(n-1) {
				err = fmt.Errorf("row %d where %d is due", r.Row, n-1)
			}
			if err != nil {
				yield(Row{}, fmt.Errorf("%w: %s: line %d: %w", ErrState, path, n, err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// parquetGroup is how many rows a row group has and how many are in memory.
const parquetGroup = 1 << 16

// writeParquet writes the index in JSONL as Parquet, zstd-compressed.
func writeParquet(jsonl string, f io.Writer) error {
	w := parquet.NewGenericWriter[Row](f, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(parquetGroup))
	rows := make([]Row, 0, 1024)
	flush := func() error {
		_, err := w.Write(rows)
		rows = rows[:0]
		return err
	}
	for r, err := range rowsOf(jsonl) {
		if err != nil {
			return err
		}
		if rows = append(rows, r); len(rows) == cap(rows) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return errors.Join(flush(), w.Close())
}
