"""The CloudEvents types that this project defines (`io.knative.lambda.<category>.<entity>.<action>`)."""

INVOKE_SYNC = "io.knative.lambda.invoke.sync"
INVOKE_ASYNC = "io.knative.lambda.invoke.async"
TASK_CANCELED = "io.knative.lambda.task.canceled"
RESPONSE_SUCCESS = "io.knative.lambda.response.success"
RESPONSE_ERROR = "io.knative.lambda.response.error"
RESPONSE_TIMEOUT = "io.knative.lambda.response.timeout"
