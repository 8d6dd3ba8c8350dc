package lora

import (
	"path"
	"regexp"
	"strings"

	"personaprobe/internal/fault"
	"personaprobe/models"
	"personaprobe/models/gguf"
)

// qwen2 is the one family whose adapters are used: its weights have the same rows in
// a checkpoint and in llama.cpp's files. Llama's q and k do not, Gemma's norms are
// stored otherwise, and names and shapes alone cannot tell them apart.
const qwen2 = "Qwen2"

// families are words that name a model's family. A name with words of two families
// says nothing: distilled models have the names of both.
var families = []struct {
	name  string
	words *regexp.Regexp
}{
	{qwen2, regexp.MustCompile(`qwen|qwq`)}, // see familyOf for the others of that name
	{"Llama", regexp.MustCompile(`llama|vicuna`)},
	{"Mistral", regexp.MustCompile(`mi[sx]tral|ministral|zephyr`)},
	{"Gemma", regexp.MustCompile(`gemma`)},
	{"Phi", regexp.MustCompile(`\bphi[-_ ]?\d`)},
	{"OLMo", regexp.MustCompile(`olmo`)},
	{"SmolLM", regexp.MustCompile(`smollm`)},
	{"Falcon", regexp.MustCompile(`falcon`)},
	{"Granite", regexp.MustCompile(`granite`)},
	{"GLM", regexp.MustCompile(`\b(chat)?glm`)},
	{"InternLM", regexp.MustCompile(`internlm`)},
	{"GPT", regexp.MustCompile(`\bgpt`)},
	{"Pythia", regexp.MustCompile(`pythia`)},
	{"Yi", regexp.MustCompile(`\byi\b`)},
}

// otherQwen are models with Qwen in their name that are not of the Qwen2 family.
var otherQwen = []struct {
	name  string
	words *regexp.Regexp
}{
	{"Qwen3 or later", regexp.MustCompile(`qwen[3-9]|qwen[-_ ][3-9]\b`)},
	{"Qwen's vision and audio", regexp.MustCompile(`\b(vl|audio|omni)\b`)},
	{"Qwen's mixture-of-experts", regexp.MustCompile(`\b(moe|a[\d.]+b)\b`)},
}

// familyOf says what family of models a name stands for: a local checkpoint's by its
// config.json, any other by the words in it; "" if it does not say.
func familyOf(name string) string {
	if kind := models.ModelType(name); kind == models.Architecture {
		return qwen2
	} else if kind != "" {
		return kind
	}
	// An underscore counts as a letter for \b.
	text := strings.ReplaceAll(strings.ToLower(lastName(name)), "_", "-")
	found := ""
	for _, f := range families {
		if f.words.MatchString(text) {
			if found != "" {
				return ""
			}
			found = f.name
		}
	}
	if found == qwen2 {
		for _, f := range otherQwen {
			if f.words.MatchString(text) {
				return f.name
			}
		}
	}
	return found
}

// lastName is the last element of a path or of a repository's name. The Hub's cache
// has models--<organisation>--<name>/snapshots/<commit>.
func lastName(name string) string {
	name = path.Clean(strings.ReplaceAll(name, "\\", "/"))
	if dir := path.Dir(name); path.Base(dir) == "snapshots" {
		parts := strings.Split(path.Base(path.Dir(dir)), "--")
		return parts[len(parts)-1]
	}
	return path.Base(name)
}

// checkFamily is the one place that decides for which models adapters are used. names
// are what an adapter says of its base model, base is that model or nil. It refuses any
// family but Qwen2's by name, and returns the family, "" where nothing says it.
func checkFamily(names []string, base *gguf.File) (family string, err error) {
	if base != nil {
		if arch, _ := base.String(archKey); arch != models.Architecture {
			return "", fault.Unsupportedf("the base model's architecture is %q; adapters are used with the %s family only", arch, qwen2)
		}
		family = qwen2
	}
	for _, name := range names {
		switch f := familyOf(name); f {
		case "":
		case qwen2:
			family = qwen2
		default:
			return "", fault.Unsupportedf("it was made for base model %q, of the family %s; adapters of the %s family only are used", name, f, qwen2)
		}
	}
	return family, nil
}
