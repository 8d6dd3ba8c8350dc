package bpe

import (
	"strings"
	"testing"
)

func TestSynthetic(t *testing.T) {
	for _, n := range []int{Minimum, 300, 2048, 152064} {
		tokens, merges, err := Synthetic(n)
		if err != nil || len(tokens) != n || len(merges) != n-Minimum {
			t.Fatalf("Synthetic(%d): %d tokens, %d merges, %v", n, len(tokens), len(merges), err)
		}
		ids := map[string]int{}
		for i, s := range tokens {
			if _, twice := ids[s]; twice {
				t.Fatalf("Synthetic(%d): token %q occurs twice", n, s)
			}
			ids[s] = i
		}
		// Each merge joins two tokens that exist to the one that comes next.
		for i, m := range merges {
			left, right, _ := strings.Cut(m, " ")
			id, ok := ids[left+right]
			if l, r := ids[left], ids[right]; !ok || id != 256+i || l >= id || r >= id {
				t.Fatalf("Synthetic(%d): merge %d %q", n, i, m)
			}
		}
	}
	if _, _, err := Synthetic(Minimum - 1); err == nil {
		t.Error("a vocabulary without room for all bytes was made")
	}
}

// GPT-2's table, as every byte-level vocabulary begins.
func TestBytes(t *testing.T) {
	got := strings.Join(Bytes(), "")
	want := "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~" +
		"¡¢£¤¥¦§¨©ª«¬®¯°±²³´µ¶·¸¹º»¼½¾¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ" +
		"ĀāĂăĄąĆćĈĉĊċČčĎďĐđĒēĔĕĖėĘęĚěĜĝĞğĠġĢģĤĥĦħĨĩĪīĬĭĮįİıĲĳĴĵĶķĸĹĺĻļĽľĿŀŁłŃ"
	if got != want {
		t.Errorf("Bytes() = %s", got)
	}
}
