package hidden

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"personaprobe/models/safetensors"
)

// The .npy format, version 1.0: a magic string, the length of the header, the header
// as the text of a Python dictionary, padded with spaces so that the data is aligned
// to 64 bytes, and the elements row by row.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
const (
	npyMagic = "\x93NUMPY\x01\x00"
	// npyStart is where the elements begin. The text takes less than 118 bytes for any
	// shape, so that the header can be written when the number of rows is known.
	npyStart = 128
)

// npyTypes are the little-endian element types by their names in the format.
var npyTypes = map[safetensors.DType]string{safetensors.F32: "<f4", safetensors.F16: "<f2"}

// npyHeader is everything before the elements of an array of shape (rows, width).
func npyHeader(dtype safetensors.DType, rows, width int) []byte {
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d), }", npyTypes[dtype], rows, width)
	prefix := len(npyMagic) + 2
	text += strings.Repeat(" ", npyStart-prefix-len(text)-1) + "\n"
	b := binary.LittleEndian.AppendUint16([]byte(npyMagic), uint16(len(text)))
	return append(b, text...)
}

var npyPattern = regexp.MustCompile(`^\{'descr': '([^']*)', 'fortran_order': False, 'shape': \((\d+), (\d+)\), \} *\n$`)

// readNPYHeader reads the header of an array that this package wrote and leaves r at
// its elements.
func readNPYHeader(r io.Reader) (dtype safetensors.DType, rows, width int, err error) {
	var prefix [len(npyMagic) + 2]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return "", 0, 0, fmt.Errorf("npy header: %w", err)
	}
	if string(prefix[:len(npyMagic)]) != npyMagic {
		return "", 0, 0, errors.New("it is no .npy file of version 1.0")
	}
	text := make([]byte, binary.LittleEndian.Uint16(prefix[len(npyMagic):]))
	if _, err := io.ReadFull(r, text); err != nil {
		return "", 0, 0, fmt.Errorf("npy header: %w", err)
	}
	m := npyPattern.FindStringSubmatch(string(text))
	if m == nil {
		return "", 0, 0, fmt.Errorf("npy header %q was not written by this program", text)
	}
	for t, name := range npyTypes {
		if name == m[1] {
			dtype = t
		}
	}
	rows, errRows := strconv.Atoi(m[2])
	width, errWidth := strconv.Atoi(m[3])
	if dtype == "" || errRows != nil || errWidth != nil {
		return "", 0, 0, fmt.Errorf("npy header %q: unexpected type or shape", text)
	}
	return dtype, rows, width, nil
}
