// Package chat renders a model's chat template, the Jinja text that turns
// messages into a prompt, as transformers' apply_chat_template does.
//
// Use [Parse] once per model (the text is the GGUF key tokenizer.chat_template)
// and [Template.Pieces] per prompt: it tells the template's own text, in which
// special tokens such as <|im_start|> count, from the text of messages, in which
// they must not. [Template.Render] gives the plain string.
package chat

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// Message is one turn of a conversation.
type Message struct {
	Role    string // "system", "user", "assistant" or what the template knows
	Content string
}

// Template is a parsed chat template. It may be used from several goroutines.
type Template struct {
	// Special holds further variables that transformers passes to templates:
	// bos_token, eos_token and so on, by name. Qwen's templates use none.
	Special map[string]string
	// Date is where the clock of strftime_now stands, so that a template renders the same
	// on every day. Without it a template that reads the clock fails.
	Date time.Time

	parsed *exec.Template
}

// Errors for errors.Is.
var (
	// ErrTemplate means that a template cannot be parsed or fails when rendered.
	ErrTemplate = errors.New("chat template")
	// ErrContent means that a template changes the contents of messages, so that
	// they cannot be told from its own text.
	ErrContent = errors.New("chat template changes the contents of messages")
)

// statements are the tags that templates may use: Jinja's without those that
// load other files.
var statements = []string{"block", "break", "call", "continue", "do", "filter", "for", "if", "macro", "raw", "set", "with"}

// maxTemplate bounds a template's length, and so how deep its blocks can be nested;
// published ones have up to 30 KB.
const maxTemplate = 128 << 10

// rootName is the name under which gonja finds the template itself.
const rootName = "/template"

// Parse parses a chat template. Like transformers it runs Jinja with trim_blocks
// and lstrip_blocks; include, import and extends are not known. One difference is
// gonja's: a variable that is none, such as tools, counts as not defined.
func Parse(template string) (t *Template, err error) {
	defer recoverTo(&err)
	if len(template) > maxTemplate {
		return nil, fmt.Errorf("%w: %d bytes are more than %d", ErrTemplate, len(template), maxTemplate)
	}
	cfg := config.New()
	cfg.TrimBlocks, cfg.LeftStripBlocks = true, true
	if err := checkNesting(tokens.LexAll(template, cfg)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	loader, err := loaders.NewMemoryLoader(map[string]string{rootName: template})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemplate, err)
	}
	parsed, err := exec.NewTemplate(rootName, cfg, loader, environment())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTemplate, shorten(err))
	}
	return &Template{parsed: parsed}, nil
}

// environment is gonja's own, less file access and with transformers' additions.
func environment() *exec.Environment {
	allowed := map[string]parser.ControlStructureParser{"generation": generationParser}
	for _, name := range statements {
		if p, ok := builtins.ControlStructures.Get(name); ok {
			allowed[name] = p
		}
	}
	allowed["macro"] = boundedMacro(allowed["macro"])
	filters := exec.NewFilterSet(map[string]exec.FilterFunction{}).Update(builtins.Filters)
	globals := exec.EmptyContext().Update(builtins.GlobalFunctions).Update(builtins.GlobalVariables)
	_ = filters.Replace("tojson", toJSON) // it exists, so this cannot fail
	globals.Set("range", boundedRange)
	fixOrder(filters, globals)
	return &exec.Environment{
		Context:           globals,
		Filters:           filters,
		Tests:             builtins.Tests,
		ControlStructures: exec.NewControlStructureSet(allowed),
		Methods:           builtins.Methods,
	}
}

// Render returns the prompt. addGenerationPrompt appends what starts the
// assistant's turn. A template that refuses the messages (raise_exception) gives
// an error with its message.
func (t *Template) Render(messages []Message, addGenerationPrompt bool) (string, error) {
	out, _, err := t.render(messages, addGenerationPrompt)
	return out, err
}

// render also says whether the template read the clock.
func (t *Template) render(messages []Message, addGenerationPrompt bool) (out string, clock bool, err error) {
	if len(messages) == 0 {
		return "", false, fmt.Errorf("%w: no messages to render", ErrTemplate)
	}
	defer recoverTo(&err)
	list := make([]any, len(messages))
	for i, m := range messages {
		list[i] = map[string]any{"role": m.Role, "content": m.Content}
	}
	vars := map[string]any{
		"messages": list, "add_generation_prompt": addGenerationPrompt,
		"tools": nil, "documents": nil,
		"raise_exception": raise, "strftime_now": func(_ *exec.Evaluator, args *exec.VarArgs) (string, error) {
			clock = true
			return t.strftimeNow(args)
		},
	}
	for name, text := range maps.All(t.Special) {
		vars[name] = text
	}
	out, err = t.parsed.ExecuteToString(exec.NewContext(vars))
	if err != nil {
		return "", clock, fmt.Errorf("%w: %w", ErrTemplate, clip(err))
	}
	return out, clock, nil
}

// clip leaves the middle of a long message out: gonja's tell of every call on the way,
// and the cause comes last.
func clip(err error) error {
	const end = 200
	text := strings.ToValidUTF8(err.Error(), "")
	if len(text) <= 3*end {
		return err
	}
	return errors.New(strings.ToValidUTF8(text[:end], "") + " ... " + strings.ToValidUTF8(text[len(text)-end:], ""))
}

// raise is transformers' raise_exception(message).
func raise(_ *exec.Evaluator, args *exec.VarArgs) (any, error) {
	var text []string
	for _, a := range args.Args {
		text = append(text, a.String())
	}
	return nil, errors.New(strings.Join(text, " "))
}

// recoverTo turns a panic of the template engine into an error: templates come
// with model files, and a bad one must not end the program.
func recoverTo(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%w: %v", ErrTemplate, r)
	}
}

// shorten drops the template's text, which gonja repeats in its errors.
func shorten(err error) error {
	text := err.Error()
	if i := strings.LastIndex(text, "': "); strings.HasPrefix(text, "failed to parse template") && i >= 0 {
		return errors.New("parse: " + text[i+len("': "):])
	}
	return err
}
