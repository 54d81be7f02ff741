// The yardstick: the shortest honest loop over Go's net/http and encoding/json, as one would write
// it: a struct marshalled for each request, a typed struct decoded from each answer.
//
//	go build -o loop loop.go && GOMAXPROCS=1 ./loop -base-url http://127.0.0.1:8080/v1 -requests 100000
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type request struct {
	Model    string    `json:"model"`
	Messages []message `json:"messages"`
}

type answer struct {
	ID      string `json:"id"`
	Model   string `json:"model"`
	Choices []struct {
		Message      message `json:"message"`
		FinishReason string  `json:"finish_reason"`
	} `json:"choices"`
	Usage struct {
		PromptTokens     int `json:"prompt_tokens"`
		CompletionTokens int `json:"completion_tokens"`
		TotalTokens      int `json:"total_tokens"`
	} `json:"usage"`
}

var filler = strings.Repeat("All work and no play makes for a dull benchmark. ", 9)

func ask(client *http.Client, url string, row int64) error {
	text := fmt.Sprintf("%d: %s", row, filler)
	body, err := json.Marshal(request{"bench", []message{{"user", text}}})
	if err != nil {
		return err
	}
	response, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var got answer
	if err := json.Unmarshal(data, &got); err != nil {
		return err
	}
	if response.StatusCode != 200 || len(got.Choices) != 1 ||
		!strings.HasPrefix(got.Choices[0].Message.Content, "The answer is forty-two.") {
		return fmt.Errorf("not the answer: %d %s", response.StatusCode, data)
	}
	return nil
}

func client(connections int, caFile string) *http.Client {
	transport := &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			log.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &http.Client{Transport: transport}
}

func main() {
	baseURL := flag.String("base-url", "", "with /v1")
	requests := flag.Int64("requests", 100000, "")
	connections := flag.Int("connections", 128, "")
	caFile := flag.String("ca-file", "", "")
	flag.Parse()
	shared, url := client(*connections, *caFile), *baseURL+"/chat/completions"
	next := int64(-1)
	var lanes sync.WaitGroup
	for lane := 0; lane < *connections; lane++ {
		lanes.Add(1)
		go func() {
			defer lanes.Done()
			for {
				row := atomic.AddInt64(&next, 1)
				if row >= *requests {
					return
				}
				if err := ask(shared, url, row); err != nil {
					log.Fatal(err)
				}
			}
		}()
	}
	lanes.Wait()
}
