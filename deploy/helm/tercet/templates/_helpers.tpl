{{- define "tercet.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 52 letters, so that "-migrate", "-nodes" and a pod's own letters fit behind it. */}}
{{- define "tercet.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "tercet.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tercet.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tercet.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* What a coordinator's pod has and the migration's has not: both have the selector's labels of the release. */}}
{{- define "tercet.nodeLabels" -}}
{{ include "tercet.selectorLabels" . }}
app.kubernetes.io/component: coordinator
{{- end -}}

{{- define "tercet.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "tercet.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "tercet.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tercet.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "tercet.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "tercet.databaseSecret" -}}
{{- if .Values.database.existingSecret -}}
{{- .Values.database.existingSecret -}}
{{- else if .Values.database.url -}}
{{- include "tercet.fullname" . -}}-database
{{- else -}}
{{- fail "the database is missing: set database.existingSecret (a Secret with its URL), or database.url" -}}
{{- end -}}
{{- end -}}

{{- define "tercet.tokensSecret" -}}
{{- if .Values.auth.existingSecret -}}
{{- .Values.auth.existingSecret -}}
{{- else -}}
{{- fail "nobody is let in: set auth.existingSecret (a Secret with tokens.toml, see tercet token new), or auth.allowAnonymous" -}}
{{- end -}}
{{- end -}}

{{- define "tercet.databaseKey" -}}
{{- if .Values.database.existingSecret -}}{{ .Values.database.key }}{{- else -}}url{{- end -}}
{{- end -}}

{{/*
Settings as TOML. toToml makes 3000.0 of 3000, since Helm reads every number as a float; the daemon's numbers
are all whole.
*/}}
{{- define "tercet.toml" -}}
{{- range $section, $keys := .Values.settings }}
[{{ $section }}]
{{- range $key, $value := $keys }}
{{ $key }} = {{ if kindIs "float64" $value }}{{ int64 $value }}{{ else }}{{ toJson $value }}{{ end }}
{{- end }}
{{ end }}
{{- end -}}

{{/*
More than drain and twice grace: balancers leave first, then what is in flight ends, then the journal. Two
seconds are for the process itself.
*/}}
{{- define "tercet.terminationGracePeriodSeconds" -}}
{{- $shutdown := .Values.settings.shutdown -}}
{{- $ms := add (int64 $shutdown.drain_ms) (mul 2 (int64 $shutdown.grace_ms)) -}}
{{- add 2 (div (add $ms 999) 1000) -}}
{{- end -}}

{{- define "tercet.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 7200
runAsGroup: 7200
fsGroup: 7200
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "tercet.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
