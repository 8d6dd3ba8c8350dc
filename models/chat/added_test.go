package chat

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const (
	llama3 = "{{ '<|bos|>' }}{% if messages[0].role == 'system' %}{% set s = messages[0].content %}{% set messages = messages[1:] %}{% else %}{% set s = '' %}{% endif %}" +
		"<|start|>system<|end|>\n\nToday Date: {{ strftime_now('%d %b %Y') }}\n\n{{ s }}<|eot|>" +
		"{% for m in messages %}<|start|>{{ m.role }}<|end|>\n\n{{ m.content }}<|eot|>{% endfor %}<|start|>assistant<|end|>\n\n"
	gemma = "<bos>{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" +
		"{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}<start_of_turn>model\n"
	vicuna  = "{% if messages[0].role == 'system' %}{{ messages[0].content }}{% set messages = messages[1:] %}{% else %}Polite talk.{% endif %} USER: {{ messages[0].content }} ASSISTANT:"
	mistral = "[INST] {% if messages[0].role == 'system' %}{{ messages[0].content }}\n\n{% set messages = messages[1:] %}{% endif %}{{ messages[0].content }}[/INST]"
	deaf    = "{% for m in messages %}{% if m.role != 'system' %}<|user|>\n{{ m.content }}\n{% endif %}{% endfor %}<|assistant|>\n"
	short   = "{% if messages[0].role != 'system' %}<|im_start|>system\nHelp!<|im_end|>\n{% endif %}" +
		"{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)

// What a template puts in by itself is found, and marks of turns are not taken for it.
func TestAdded(t *testing.T) {
	special := []string{"<|im_start|>", "<|im_end|>", "<|bos|>", "<|start|>", "<|end|>", "<|eot|>", "<bos>", "<start_of_turn>", "<end_of_turn>"}
	raw := qwen(t)
	for _, c := range []struct {
		name         string
		template     *Template
		system, user string // added to a chat with, and without, a system message
	}{
		{"qwen2.5", raw, "", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."},
		{"embedded", tinyTemplate(t), "", "You are a helpful assistant."},
		{"llama 3", parse(t, llama3), "Today Date: 01 Dec 2026", "Today Date: 01 Dec 2026"},
		{"vicuna", parse(t, vicuna), "", "Polite talk."},
		{"mistral", parse(t, mistral), "", ""},
		{"gemma", parse(t, gemma), "refused", ""},
		{"deaf", parse(t, deaf), "left out", ""},
		{"one word", parse(t, short), "", "Help!"},
	} {
		c.template.Date = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
		got, err := c.template.Added([]Message{{"user", "Why is the sky blue?"}}, special)
		if err != nil || got != c.user {
			t.Errorf("%s: without a system message %q, %v; want %q", c.name, got, err, c.user)
		}
		got, err = c.template.Added([]Message{{"system", "You are a poet."}, {"user", "Why is the sky blue?"}}, special)
		switch {
		case c.system == "refused" || c.system == "left out":
			if err == nil || c.system == "refused" && !strings.Contains(err.Error(), "System role not supported") ||
				c.system == "left out" && (!errors.Is(err, ErrContent) || !strings.Contains(err.Error(), `message 1, of the role "system"`)) {
				t.Errorf("%s: %v, want it %s", c.name, err, c.system)
			}
		case err != nil || got != c.system:
			t.Errorf("%s: with a system message %q, %v; want %q", c.name, got, err, c.system)
		}
	}
}
