package hidden

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"personaprobe/engine"
)

const indexName = "rows.jsonl"

func layerName(layer int) string { return fmt.Sprintf("layer_%d", layer) }

func npyName(layer int) string { return layerName(layer) + ".npy" }

// sequence is a prompt, or a prompt with a response, whose states are read.
type sequence struct {
	reading engine.Reading
	row     Row // labels of its rows
}

// read reads the states, block by block, into growing .npy files and a growing index.
func (x *extraction) read(ctx context.Context) error {
	files, err := x.openParts()
	if err != nil {
		return err
	}
	defer files.close()
	var responses *responseReader
	if r := x.job.Response; r != nil {
		skip := x.progress.Prompts * x.opts.Response.perPrompt()
		if responses, err = openResponses(filepath.Join(x.partial, responsesName), x.progress.ResponseBytes, skip); err != nil {
			return err
		}
		defer responses.f.Close()
	}
	rowBytes := x.job.rowBytes() * int64(len(x.job.Layers))
	prepare := func(p *Prompt) ([]sequence, int64, error) {
		seqs, err := x.sequences(p, responses)
		rows := 0
		for i := range seqs {
			rows += seqs[i].reading.Rows()
		}
		return seqs, int64(rows) * rowBytes, err
	}
	return blocks(ctx, x, x.opts.block.prompts, prepare, func(prompts [][]sequence) error {
		b, err := x.readBlock(ctx, slices.Concat(prompts...))
		if err != nil {
			return err
		}
		n, err := files.append(b)
		if err != nil {
			return err
		}
		x.progress.Prompts += len(prompts)
		x.progress.Rows += len(b.index)
		x.progress.IndexBytes += n
		for _, f := range append(files.arrays, files.index) {
			if err := x.progress.keep(f); err != nil {
				return err
			}
		}
		return x.progress.save(x.partial)
	})
}

// sequences are what is read of a prompt.
func (x *extraction) sequences(p *Prompt, responses *responseReader) ([]sequence, error) {
	ids, err := p.encode(x.e.Tokenizer())
	if err != nil {
		return nil, err
	}
	row := Row{ID: p.ID, Persona: p.Persona, Question: p.Question, Group: p.Group}
	if responses == nil {
		reading := engine.Reading{Tokens: ids, Mean: x.opts.Position.pooled()}
		if x.opts.Position != PositionLast {
			reading.To = len(ids)
		}
		return []sequence{{reading, row}}, nil
	}
	lines, err := responses.next(p.ID, x.opts.Response.perPrompt())
	if err != nil {
		return nil, err
	}
	var out []sequence
	for _, l := range lines {
		if len(l.Tokens) == 0 {
			continue
		}
		row.Seed, row.Completion = &l.Seed, &l.Completion
		tokens := slices.Concat(ids, l.Tokens)
		out = append(out, sequence{engine.Reading{
			Tokens: tokens, From: len(ids), To: len(tokens), Mean: x.opts.Position.pooled(),
		}, row})
	}
	return out, nil
}

// rowsBlock is a block's rows: the index, and by layer the elements as stored.
type rowsBlock struct {
	index  []Row
	states [][]byte
}

func (x *extraction) readBlock(ctx context.Context, seqs []sequence) (*rowsBlock, error) {
	b := &rowsBlock{states: make([][]byte, len(x.job.Layers))}
	readings := make([]engine.Reading, len(seqs))
	starts := make([]int, len(seqs)) // first row in the block
	for i := range seqs {
		readings[i], starts[i] = seqs[i].reading, len(b.index)
		b.index = append(b.index, x.indexOf(&seqs[i], x.progress.Rows+len(b.index))...)
	}
	rowBytes := int(x.job.rowBytes())
	for k := range b.states {
		b.states[k] = make([]byte, len(b.index)*rowBytes)
	}
	kind, _ := x.job.DType.GGML()
	done, perPrompt := 0, 1
	if x.job.Response != nil {
		perPrompt = x.opts.Response.perPrompt()
	}
	opts := engine.StateOptions{Adapter: x.opts.Adapter, Layers: x.opts.Layers, Batch: x.opts.Batch}
	err := x.e.States(ctx, readings, opts, func(i int, states [][]float32) error {
		n := readings[i].Rows() * rowBytes
		for k, values := range states {
			err := finite(values)
			if err == nil {
				err = kind.Encode(b.states[k][starts[i]*rowBytes:][:n], values)
			}
			if err != nil {
				return fmt.Errorf("prompt %s, layer %d: %w", seqs[i].row.ID, x.opts.Layers[k], err)
			}
		}
		done++
		x.report(done / perPrompt) // too little where a response is empty, until the block ends
		return nil
	})
	return b, err
}

// indexOf describes a sequence's rows, the first of which has a number.
func (x *extraction) indexOf(s *sequence, number int) []Row {
	r := &s.reading
	from, to := r.From, r.To
	if to == 0 {
		from, to = len(r.Tokens)-1, len(r.Tokens)
	}
	rows := make([]Row, r.Rows())
	for i := range rows {
		rows[i] = s.row
		rows[i].Row = int64(number + i)
		rows[i].Tokens = 1
		if r.Mean {
			rows[i].Tokens = int32(to - from)
			continue
		}
		position := int32(from + i)
		rows[i].Position, rows[i].TokenID = &position, &r.Tokens[from+i]
	}
	return rows
}

// finite refuses states that no mean and no cosine can be taken of.
func finite(values []float32) error {
	for i, v := range values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("%w: component %d is %v", ErrState, i, v)
		}
	}
	return nil
}

// parts are the growing files.
type parts struct {
	arrays []*growing // by layer
	index  *growing
}

// openParts opens them at the length that they had when they were last whole.
func (x *extraction) openParts() (*parts, error) {
	p := &parts{}
	for _, l := range x.job.Layers {
		length := int64(0)
		if x.progress.Rows > 0 {
			length = npyStart + int64(x.progress.Rows)*x.job.rowBytes()
		}
		f, err := x.grow(npyName(l), npyStart, length)
		if err == nil && length == 0 {
			_, err = f.File.Write(npyHeader(x.job.DType, 0, x.job.HiddenSize)) // of no rows as yet
		}
		if f != nil {
			p.arrays = append(p.arrays, f)
		}
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	var err error
	if p.index, err = x.grow(indexName, 0, x.progress.IndexBytes); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// append writes a block, durably, and says how many bytes the index has grown.
func (p *parts) append(b *rowsBlock) (int64, error) {
	for k, f := range p.arrays {
		if _, err := f.Write(b.states[k]); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return appendLines(p.index, b.index)
}

func (p *parts) close() error {
	var errs []error
	for _, f := range p.arrays {
		errs = append(errs, f.Close())
	}
	if p.index != nil {
		errs = append(errs, p.index.Close())
	}
	return errors.Join(errs...)
}
