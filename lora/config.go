package lora

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"personaprobe/internal/fault"
	"personaprobe/internal/jsonobj"
)

// configName and weightsName are PEFT's file names.
const (
	configName  = "adapter_config.json"
	weightsName = "adapter_model.safetensors"
	maxConfig   = 16 << 20
)

// config is an adapter_config.json whose every option is either understood or
// known not to matter for the adapter's output.
type config struct {
	base     string // base_model_name_or_path, "" if absent
	rank     int64
	alpha    float64
	rslora   bool
	ranks    []pattern // rank_pattern, in file order: the first match wins
	alphas   []pattern // alpha_pattern
	targets  *selector
	fanInOut bool
}

// pattern is an entry of rank_pattern or alpha_pattern.
type pattern struct {
	match *matcher
	value float64
}

// inert are the options that cannot change what a trained adapter computes:
// descriptions, training settings, and parameters of options that are refused
// when they are on.
var inert = []string{
	"task_type", "auto_mapping", "peft_version", "revision", "inference_mode", "lora_dropout",
	"megatron_core", "loftq_config", "eva_config", "qalora_group_size", "runtime_config",
}

// plainInits are the initialisations that leave the base model's weights alone.
// The others (PiSSA, OLoRA, CorDA, LoftQ, ...) change them, and the adapter fits
// only the changed ones.
var plainInits = []string{`null`, `true`, `false`, `"gaussian"`, `"eva"`, `"orthogonal"`}

func readConfig(dir string) (*config, error) {
	path := filepath.Join(dir, configName)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read adapter: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxConfig {
		return nil, fault.Formatf("%s: not a regular file of at most %d bytes", path, maxConfig)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read adapter: %w", err)
	}
	c, err := parseConfig(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// parseConfig understands every option or refuses it by name.
func parseConfig(raw []byte) (*config, error) {
	members, err := jsonobj.Parse(raw)
	if err != nil {
		return nil, fault.Formatf("%w", err)
	}
	c := &config{alpha: 8, rank: 8, targets: &selector{}} // PEFT's defaults
	var kind string
	for _, m := range members {
		if m.Key == "peft_type" {
			if err := json.Unmarshal(m.Value, &kind); err != nil {
				return nil, fault.Formatf("peft_type: %w", err)
			}
			continue
		}
		if err := c.option(m); err != nil {
			return nil, err
		}
	}
	if kind != "LORA" {
		return nil, fault.Unsupportedf("peft_type %q; only LORA adapters are converted", kind)
	}
	if c.rank < 1 || !finite(c.alpha) {
		return nil, fault.Formatf("r is %d and lora_alpha %g; r must be positive", c.rank, c.alpha)
	}
	return c, c.targets.check()
}

func (c *config) option(m jsonobj.Member) error {
	decode := func(v any) error {
		if err := json.Unmarshal(m.Value, v); err != nil {
			return fault.Formatf("%s: %w", m.Key, err)
		}
		return nil
	}
	var err error
	switch m.Key {
	case "base_model_name_or_path":
		var name *string
		if err = decode(&name); name != nil {
			c.base = *name
		}
	case "r", "lora_alpha":
		if string(m.Value) == "null" {
			return fault.Formatf("%s is null", m.Key) // which JSON would take for the default
		}
		if m.Key == "r" {
			return decode(&c.rank)
		}
		err = decode(&c.alpha)
	case "use_rslora":
		err = decode(&c.rslora)
	case "fan_in_fan_out":
		err = decode(&c.fanInOut)
	case "rank_pattern":
		c.ranks, err = parsePatterns(m)
	case "alpha_pattern":
		c.alphas, err = parsePatterns(m)
	case "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern":
		err = c.targets.option(m)
	case "bias":
		if v := string(m.Value); v != `"none"` && v != `null` {
			err = fault.Unsupportedf("bias %s; llama.cpp adapters carry no biases", m.Value)
		}
	case "modules_to_save":
		var list []string
		if err = decode(&list); err == nil && len(list) > 0 {
			err = fault.Unsupportedf("modules_to_save %s: these modules were trained whole, and llama.cpp's adapters carry factors only; %s", short(m.Value), mergeInPEFT)
		}
	case "init_lora_weights":
		if !slices.Contains(plainInits, string(m.Value)) {
			hint := "save it in PEFT with path_initial_model_for_weight_conversion to get a plain LoRA"
			if strings.HasPrefix(string(m.Value), `"loftq`) {
				hint = mergeInPEFT // its base is quantised, and PEFT has no conversion
			}
			err = fault.Unsupportedf("init_lora_weights %s changes the base weights; %s", short(m.Value), hint)
		}
	default:
		err = checkOther(m)
	}
	return err
}

// checkOther accepts an option that is inert or off, and refuses any other by
// name: an option that nobody knows here may change what the adapter means.
func checkOther(m jsonobj.Member) error {
	if m.Key == "task_type" {
		if v := string(m.Value); v != `"CAUSAL_LM"` && v != `null` {
			return fault.Unsupportedf("task_type %s; only CAUSAL_LM adapters are converted", m.Value)
		}
	}
	if slices.Contains(inert, m.Key) {
		return nil
	}
	var v any
	if err := json.Unmarshal(m.Value, &v); err != nil {
		return fault.Formatf("%s: %w", m.Key, err)
	}
	switch v := v.(type) {
	case nil:
		return nil
	case bool:
		if !v {
			return nil
		}
	case float64:
		if v == 0 {
			return nil
		}
	case string:
		if v == "" {
			return nil
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
	case map[string]any:
		if len(v) == 0 {
			return nil
		}
	}
	return fault.Unsupportedf("adapter option %s = %s", m.Key, short(m.Value))
}

// short is a value for an error message.
func short(value []byte) string {
	if len(value) > 80 {
		return strings.ToValidUTF8(string(value[:80]), "") + "..."
	}
	return string(value)
}

func parsePatterns(m jsonobj.Member) ([]pattern, error) {
	if string(m.Value) == "null" {
		return nil, nil
	}
	members, err := jsonobj.Parse(m.Value)
	if err != nil {
		return nil, fault.Formatf("%s: %w", m.Key, err)
	}
	var list []pattern
	for _, p := range members {
		// PEFT: re.match(rf"(.*\.)?({key})$", module)
		match, err := newMatcher(`(.*\.)?(` + p.Key + `)`)
		if err != nil {
			return nil, fault.Formatf("%s: %q: %w", m.Key, p.Key, err)
		}
		var value float64
		if err := json.Unmarshal(p.Value, &value); err != nil || !finite(value) {
			return nil, fault.Formatf("%s: %q: %s is not a number", m.Key, p.Key, p.Value)
		}
		list = append(list, pattern{match, value})
	}
	return list, nil
}

// of returns the rank PEFT gives a module, such as
// "model.layers.0.self_attn.q_proj", and the alpha that makes llama.cpp's scale
// alpha / rank equal to PEFT's: lora_alpha or, with use_rslora, whose scale is
// lora_alpha / sqrt(rank), lora_alpha x sqrt(rank).
func (c *config) of(module string) (rank int64, alpha float64, err error) {
	rank, alpha = c.rank, c.alpha
	if p, err := firstMatch(c.ranks, module); err != nil {
		return 0, 0, err
	} else if p != nil {
		if rank = int64(p.value); float64(rank) != p.value || rank < 1 {
			return 0, 0, fault.Formatf("rank_pattern: rank %g for module %s is not a positive integer", p.value, module)
		}
	}
	if p, err := firstMatch(c.alphas, module); err != nil {
		return 0, 0, err
	} else if p != nil {
		alpha = p.value
	}
	if c.rslora {
		alpha *= math.Sqrt(float64(rank))
	}
	return rank, alpha, nil
}

func firstMatch(list []pattern, module string) (*pattern, error) {
	for i := range list {
		ok, err := list[i].match.matches(module)
		if err != nil {
			return nil, err
		}
		if ok {
			return &list[i], nil
		}
	}
	return nil, nil
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
