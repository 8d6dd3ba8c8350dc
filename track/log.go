package track

import (
	"encoding/binary"
	"hash/crc32"
	"io"
)

// The log format of a .wandb file is LevelDB's (doc/log_format.md there) with two
// differences: seven bytes lead the first block, and the checksum is CRC-32 (IEEE),
// unmasked. Blocks have 32 KiB; a record that does not fit is split.
const (
	logBlock  = 32 << 10
	logHeader = 7 // of the file, and of every chunk: checksum 4, length 2, type 1

	logIdent   = ":W&B"
	logMagic   = 0xBEE1
	logVersion = 0
)

const (
	chunkFull = iota + 1
	chunkFirst
	chunkMiddle
	chunkLast
)

// logWriter writes records to a .wandb file. The first error is kept in err.
type logWriter struct {
	w    io.Writer
	used int // bytes of the current block
	err  error
}

func newLogWriter(w io.Writer) *logWriter {
	l := &logWriter{w: w}
	l.write(append(binary.LittleEndian.AppendUint16([]byte(logIdent), logMagic), logVersion))
	return l
}

func (l *logWriter) write(data []byte) {
	if l.err == nil {
		_, l.err = l.w.Write(data)
	}
	l.used = (l.used + len(data)) % logBlock
}

// record appends one record.
func (l *logWriter) record(data []byte) {
	first := true
	for {
		left := logBlock - l.used
		if left < logHeader {
			l.write(make([]byte, left))
			left = logBlock
		}
		n := min(len(data), left-logHeader)
		last := n == len(data)
		l.chunk(chunkType(first, last), data[:n])
		if last {
			return
		}
		first, data = false, data[n:]
	}
}

func chunkType(first, last bool) byte {
	switch {
	case first && last:
		return chunkFull
	case first:
		return chunkFirst
	case last:
		return chunkLast
	}
	return chunkMiddle
}

func (l *logWriter) chunk(kind byte, data []byte) {
	sum := crc32.Update(crc32.ChecksumIEEE([]byte{kind}), crc32.IEEETable, data)
	head := binary.LittleEndian.AppendUint32(nil, sum)
	head = binary.LittleEndian.AppendUint16(head, uint16(len(data)))
	l.write(append(head, kind))
	l.write(data)
}
