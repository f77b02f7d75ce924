// Reads manifests from standard input by the types of Kubernetes itself, and refuses fields that those do not
// have, and fields said twice: a cluster would drop them with a warning at best.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

// Kinds that come with an operator, whose types are not Kubernetes' own.
var foreign = map[string]bool{"monitoring.coreos.com/v1, Kind=ServiceMonitor": true}

func main() {
	read, err := readAll(os.Stdin)
	if err == nil && read == 0 {
		err = errors.New("there is nothing to read")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func readAll(from io.Reader) (int, error) {
	options := json.SerializerOptions{Yaml: true, Strict: true}
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, options)
	documents := yaml.NewYAMLReader(bufio.NewReader(from))
	for read := 0; ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return read, nil
		}
		if err != nil {
			return read, err
		}
		if isEmpty(document) {
			continue
		}
		_, kind, err := decoder.Decode(document, nil, nil)
		if runtime.IsNotRegisteredError(err) && kind != nil && foreign[kind.String()] {
			err = nil
		}
		if err != nil {
			return read, fmt.Errorf("%v: %w", kind, err)
		}
		read++
	}
}

// isEmpty tells whether there are comments alone.
func isEmpty(document []byte) bool {
	for line := range bytes.Lines(document) {
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' && !bytes.Equal(line, []byte("---")) {
			return false
		}
	}
	return true
}
