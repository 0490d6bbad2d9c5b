// Checks objects of operators against the Go types of their APIs; an unknown or wrong field is an error.
//
//	operator-types FILE...
package main

import (
	"bytes"
	"fmt"
	"os"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"sigs.k8s.io/yaml"
)

func main() {
	checked := map[string]int{}
	for _, path := range os.Args[1:] {
		text, err := os.ReadFile(path)
		if err != nil {
			fail(path, err)
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			var head struct{ APIVersion, Kind string }
			if err := yaml.Unmarshal(document, &head); err != nil {
				fail(path, err)
			}
			var object any
			switch head.APIVersion + " " + head.Kind {
			case "cert-manager.io/v1 Certificate":
				object = &certmanager.Certificate{}
			case "monitoring.coreos.com/v1 ServiceMonitor":
				object = &monitoring.ServiceMonitor{}
			case "monitoring.coreos.com/v1 PrometheusRule":
				object = &monitoring.PrometheusRule{}
			default:
				continue
			}
			if err := yaml.UnmarshalStrict(document, object); err != nil {
				fail(path+": "+head.Kind, err)
			}
			checked[head.Kind]++
		}
	}
	fmt.Println("ok: types of the operators:", checked)
}

func fail(where string, err error) {
	fmt.Fprintf(os.Stderr, "FAILED: %s: %v\n", where, err)
	os.Exit(1)
}
