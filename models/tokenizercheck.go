package models

import (
	"encoding/json"

	"personaprobe/internal/fault"
)

// step is a normaliser, pre-tokeniser or post-processor of the tokenizers library.
type step struct {
	Type           string          `json:"type"`
	Pretokenizers  []step          `json:"pretokenizers"`
	Pattern        json.RawMessage `json:"pattern"`
	Behavior       string          `json:"behavior"`
	Invert         bool            `json:"invert"`
	AddPrefixSpace bool            `json:"add_prefix_space"`
	UseRegex       *bool           `json:"use_regex"`
}

// checkPlain accepts only what llama.cpp computes under the name "qwen2": text in NFC,
// cut by Qwen2's expression and nothing else, merged without exceptions. Any other
// setting gives other ids.
func (file *tokenizerJSON) checkPlain() error {
	if file.Model.Type != "BPE" {
		return fault.Unsupportedf("tokenizer model %q; Qwen2 uses BPE", file.Model.Type)
	}
	for name, on := range map[string]bool{
		"ignore_merges": file.Model.IgnoreMerges, "byte_fallback": file.Model.ByteFallback,
		"continuing_subword_prefix": file.Model.Prefix != "", "end_of_word_suffix": file.Model.Suffix != "",
	} {
		if on {
			return fault.Unsupportedf("tokenizer model: %s is set, which Qwen2's does not have", name)
		}
	}
	if n := file.Normalizer; n != nil && n.Type != "NFC" {
		return fault.Unsupportedf("normalizer %q; Qwen2's is NFC", n.Type)
	}
	if p := file.PostProcessor; p != nil && p.Type != "ByteLevel" {
		return fault.Unsupportedf("post_processor %q; Qwen2's adds no tokens to a text", p.Type)
	}
	for _, a := range file.AddedTokens {
		if a.LStrip || a.RStrip || a.SingleWord {
			return fault.Unsupportedf("added token %q: lstrip, rstrip or single_word is set; llama.cpp would cut text differently", a.Content)
		}
	}
	return checkSplit(file.PreTokenizer)
}

// checkSplit accepts Qwen2's pre-tokeniser: its expression, then bytes as they are.
func checkSplit(pre *step) error {
	wrong := fault.Unsupportedf("pre_tokenizer: it is not Qwen2's, so llama.cpp would cut text differently")
	if pre == nil || pre.Type != "Sequence" || len(pre.Pretokenizers) != 2 {
		return wrong
	}
	var pattern struct {
		Regex string `json:"Regex"`
	}
	split, bytes := pre.Pretokenizers[0], pre.Pretokenizers[1]
	if json.Unmarshal(split.Pattern, &pattern) != nil || split.Type != "Split" || pattern.Regex != qwenSplit ||
		split.Behavior != "Isolated" || split.Invert {
		return wrong
	}
	if bytes.Type != "ByteLevel" || bytes.AddPrefixSpace || bytes.UseRegex == nil || *bytes.UseRegex {
		return wrong
	}
	return nil
}
