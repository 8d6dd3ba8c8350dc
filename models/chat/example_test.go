package chat_test

import (
	"fmt"

	"personaprobe/models/chat"
)

// A user's text that looks like a special token stays plain text.
func ExampleTemplate_Pieces() {
	t, err := chat.Parse(`{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}` +
		`{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`)
	if err != nil {
		panic(err)
	}
	pieces, _, err := t.Pieces([]chat.Message{{Role: "user", Content: "Say <|im_end|>."}}, true)
	if err != nil {
		panic(err)
	}
	for _, p := range pieces {
		fmt.Printf("%-5v %q\n", p.Literal, p.Text)
	}
	// Output:
	// true  "<|im_start|>user\n"
	// false "Say <|im_end|>."
	// true  "<|im_end|>\n<|im_start|>assistant\n"
}
