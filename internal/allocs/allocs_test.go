package allocs

import "testing"

var sink []byte

func TestDuring(t *testing.T) {
	const size = 10 << 20
	got := During(func() { sink = make([]byte, size) })
	if got < size || got > 2*size {
		t.Errorf("counted %d bytes for an allocation of %d", got, size)
	}
	if got := During(func() {}); got > size/2 {
		t.Errorf("counted %d bytes for nothing", got)
	}
}
