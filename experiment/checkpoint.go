package experiment

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"

	"personaprobe/internal/disk"
)

// A checkpoint keeps the completions of a running shard: JSON lines, compressed with
// zstd, in a file that only grows. Each block is a zstd frame with a checksum,
// preceded by a skippable frame that holds the block's length, so that `zstd -dc`
// shows the whole file and a reader finds where a torn tail begins. A block holds
// whole groups only: all completions of one persona and question.
//
// The first block is a header that ties the file to its run and shard.

// group is all completions that a shard has for one persona and question.
type group struct {
	Persona     int      `json:"persona"`  // number among the source's personas
	Question    int      `json:"question"` // number among the study's questions
	Completions []sample `json:"completions"`
	Elapsed     float64  `json:"elapsed"` // seconds spent on the shard when it was complete
}

// sample is one completion.
type sample struct {
	Text   string `json:"text"`
	Tokens int    `json:"tokens"` // new tokens, the end-of-turn token not counted
	Finish string `json:"finish"` // engine.FinishReason
}

type checkpointHeader struct {
	Format   string `json:"format"`
	Manifest string `json:"manifest"` // Manifest.ID
	Shard    string `json:"shard"`
}

const (
	checkpointFormat = "personaprobe completions 1"

	// A crash loses at most what came in one of these, and that is generated again.
	// More frequent writes would compress worse and wait for the disk more often.
	checkpointEvery = time.Second
	checkpointBytes = 1 << 18
)

// skippable is the magic number of a zstd frame that decoders skip (RFC 8878, 3.1.2).
const skippable = 0x184D2A50

// prefixSize is the skippable frame's: magic, its length (4), the block's length.
const prefixSize = 12

// maxBlock bounds what a damaged length can make a reader allocate.
const maxBlock = 1 << 30

// checkpoint appends groups to a shard's file. It is not safe for concurrent use.
type checkpoint struct {
	file    *disk.File
	path    string
	encoder *zstd.Encoder
	lines   bytes.Buffer // groups not yet written
	last    time.Time    // of the last block
	every   time.Duration
	sound   func() error // whether what was added may be kept; nil: it may
	failed  bool
}

// openCheckpoint cuts a torn tail off the file, makes the file if there is none, and
// gives the groups it holds to each, which may be nil. It returns the bytes cut.
func openCheckpoint(path string, header checkpointHeader, every time.Duration, each func(group) error) (*checkpoint, int64, error) {
	size, torn, err := readCheckpoint(path, header, each)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, 0, err
	}
	file, err := appendTo(path)
	if err != nil {
		return nil, 0, fmt.Errorf("open checkpoint: %w", err)
	}
	// A window beyond a block would only cost memory.
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true), zstd.WithWindowSize(checkpointBytes))
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	c := &checkpoint{file: file, path: path, encoder: encoder, last: time.Now(), every: every}
	if err := c.prepare(size, torn, header); err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return c, torn, nil
}

// prepare brings the file to its sound part, and an empty one to its header.
func (c *checkpoint) prepare(size, torn int64, header checkpointHeader) error {
	if torn > 0 {
		if err := c.file.Truncate(size); err != nil {
			return fmt.Errorf("cut the torn tail of %s: %w", c.path, err)
		}
	}
	if size > 0 {
		return nil
	}
	if err := c.line(header); err != nil {
		return err
	}
	return c.flush()
}

// add appends a group and writes a block when it is time.
func (c *checkpoint) add(g group) error {
	if err := c.line(g); err != nil {
		return err
	}
	if c.lines.Len() >= checkpointBytes || time.Since(c.last) >= c.every {
		return c.flush()
	}
	return nil
}

func (c *checkpoint) line(v any) error {
	encoder := json.NewEncoder(&c.lines)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("write %s: %w", c.path, err)
	}
	return nil
}

// flush writes the groups so far as a block and syncs it, if they are sound. After an
// error the file may have a torn tail and takes nothing more.
func (c *checkpoint) flush() error {
	if c.failed || c.lines.Len() == 0 {
		return nil
	}
	if c.sound != nil {
		if err := c.sound(); err != nil {
			c.failed = true
			return err
		}
	}
	block := make([]byte, prefixSize, prefixSize+c.lines.Len()/2)
	block = c.encoder.EncodeAll(c.lines.Bytes(), block)
	binary.LittleEndian.PutUint32(block[0:], skippable)
	binary.LittleEndian.PutUint32(block[4:], prefixSize-8)
	binary.LittleEndian.PutUint32(block[8:], uint32(len(block)-prefixSize))
	c.lines.Reset()
	c.last = time.Now()
	c.failed = true // until it is known to be written
	if _, err := c.file.Write(block); err != nil {
		return fmt.Errorf("write %s: %w", c.path, err)
	}
	if err := c.file.Sync(); err != nil {
		return fmt.Errorf("write %s: %w", c.path, err)
	}
	c.failed = false
	return nil
}

// close writes what is left.
func (c *checkpoint) close() error {
	return errors.Join(c.flush(), c.encoder.Close(), c.file.Close())
}

// readCheckpoint gives the groups of the file's sound part to each. It returns the
// length of that part and of the torn tail behind it. A tail is torn if a block is
// cut short or its checksum is wrong: whatever was written after it was not synced
// when the machine stopped. A file of another run or shard is an error.
func readCheckpoint(path string, header checkpointHeader, each func(group) error) (size, torn int64, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, err
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock))
	if err != nil {
		return 0, 0, err
	}
	defer decoder.Close()
	for rest := data; len(rest) > 0; {
		lines, length := nextBlock(decoder, rest)
		if length == 0 {
			break
		}
		if err := readBlock(lines, size == 0, header, each); err != nil {
			return 0, 0, fmt.Errorf("%s, block at byte %d: %w", path, size, err)
		}
		size += int64(length)
		rest = rest[length:]
	}
	return size, int64(len(data)) - size, nil
}

// nextBlock decodes the first block of data and gives its length in the file, 0 if it
// is torn.
func nextBlock(decoder *zstd.Decoder, data []byte) (lines []byte, length int) {
	if len(data) < prefixSize || binary.LittleEndian.Uint32(data) != skippable ||
		binary.LittleEndian.Uint32(data[4:]) != prefixSize-8 {
		return nil, 0
	}
	n := int64(binary.LittleEndian.Uint32(data[8:]))
	if n == 0 || n > int64(len(data)-prefixSize) {
		return nil, 0
	}
	lines, err := decoder.DecodeAll(data[prefixSize:prefixSize+n], nil)
	if err != nil {
		return nil, 0
	}
	return lines, prefixSize + int(n)
}

func readBlock(lines []byte, first bool, want checkpointHeader, each func(group) error) error {
	decoder := json.NewDecoder(bytes.NewReader(lines))
	if first {
		var have checkpointHeader
		if err := decoder.Decode(&have); err != nil {
			return err
		}
		if have != want {
			return fmt.Errorf("it is of shard %q, run %.12s, format %q and not of shard %q, run %.12s, format %q; move it away",
				have.Shard, have.Manifest, have.Format, want.Shard, want.Manifest, want.Format)
		}
	}
	for decoder.More() {
		var g group
		if err := decoder.Decode(&g); err != nil {
			return err
		}
		if each == nil {
			continue
		}
		if err := each(g); err != nil {
			return err
		}
	}
	return nil
}
