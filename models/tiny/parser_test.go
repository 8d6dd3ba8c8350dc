package tiny

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gp "github.com/gpustack/gguf-parser-go"

	"personaprobe/models/gguf"
	"personaprobe/models/safetensors"
)

// Another reader sees in the installed files what ours sees.
func TestAgreesWithGGUFParser(t *testing.T) {
	files, err := Install(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	compareWithParser(t, files.Model)
	for _, path := range files.Adapters {
		compareWithParser(t, path)
	}
}

func compareWithParser(t *testing.T, path string) {
	t.Helper()
	want, err := gp.ParseGGUFFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(want.Header.MetadataKV) != len(f.Metadata) || len(want.TensorInfos) != len(f.Tensors) {
		t.Fatalf("%s: %d keys and %d tensors, gguf-parser has %d and %d", path, len(f.Metadata), len(f.Tensors),
			len(want.Header.MetadataKV), len(want.TensorInfos))
	}
	for i, kv := range want.Header.MetadataKV {
		value := kv.Value
		if array, ok := value.(gp.GGUFMetadataKVArrayValue); ok {
			value = array.Array
		}
		// gguf-parser takes white space off the ends of strings.
		same := strings.TrimSpace(fmt.Sprint(value)) == strings.TrimSpace(fmt.Sprint(f.Metadata[i].Value))
		if kv.Key != f.Metadata[i].Key || !same {
			t.Errorf("%s: key %s: %v, gguf-parser has %s: %v", path, f.Metadata[i].Key, f.Metadata[i].Value, kv.Key, value)
		}
	}
	for i, info := range want.TensorInfos {
		x := f.Tensors[i]
		shape := make([]int64, 0, len(info.Dimensions))
		for _, d := range info.Dimensions {
			shape = append(shape, int64(d))
		}
		if info.Name != x.Name || uint32(info.Type) != uint32(x.Type) || int64(info.Bytes()) != x.Bytes() ||
			want.TensorDataStartOffset+int64(info.Offset) != x.Offset || !slices.Equal(shape, x.Shape) {
			t.Errorf("%s: tensor %s: %v at %d, gguf-parser has %+v", path, x.Name, x.TensorInfo, x.Offset, info)
		}
	}
}

// The adapters' factors are the bytes that PEFT wrote.
func TestAdaptersAreCopied(t *testing.T) {
	dir := t.TempDir()
	if err := Unpack(dir); err != nil {
		t.Fatal(err)
	}
	files, err := Install(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for source, path := range files.Adapters {
		peft, err := safetensors.Open(filepath.Join(dir, "adapters", source, "adapter_model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		defer peft.Close()
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if len(f.Tensors) != len(peft.Tensors) {
			t.Fatalf("%s: %d tensors, PEFT has %d", source, len(f.Tensors), len(peft.Tensors))
		}
		for _, x := range peft.Tensors {
			want, err := x.Raw()
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.Tensor(ggufName(x.Name)).Raw()
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %s differs: %v", source, x.Name, err)
			}
		}
	}
}

// ggufName is the name in a GGUF adapter of a PEFT tensor.
func ggufName(peft string) string {
	return strings.NewReplacer(
		"base_model.model.model.layers.", "blk.", "self_attn.q_proj", "attn_q", "self_attn.k_proj", "attn_k",
		"self_attn.v_proj", "attn_v", "self_attn.o_proj", "attn_output", "mlp.gate_proj", "ffn_gate",
		"mlp.up_proj", "ffn_up", "mlp.down_proj", "ffn_down", "lora_A.weight", "weight.lora_a", "lora_B.weight", "weight.lora_b",
	).Replace(peft)
}
