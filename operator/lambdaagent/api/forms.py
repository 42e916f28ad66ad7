"""Descriptions of the API's patterns, for error messages and the reference."""

from lambdaagent.api import access, base, tools
from lambdaagent.api.workload import ENV_NAME, REPOSITORY

FORMS = {
    base.DNS_LABEL: "a DNS label (a-z, 0-9, '-')",
    base.DNS_1035: "a DNS-1035 label (a-z, 0-9, '-', beginning with a letter)",
    base.DNS_SUBDOMAIN: "a DNS name (a-z, 0-9, '-', '.')",
    base.DATA_KEY: "a key (letters, digits, '-', '_', '.')",
    base.GO_DURATION: "a duration such as 30s or 1m30s",
    base.PROMETHEUS_DURATION: "a duration such as 30s or 1m30s, in whole numbers",
    base.ISO_DURATION: "an ISO 8601 duration such as PT1S or PT1M0.5S",
    base.QUANTITY: "a quantity such as 500m or 256Mi",
    base.URL: "a URL with a scheme",
    base.EXTENSION_URI: "a URI without spaces and commas",
    base.HTTP_URL: "an http or https URL",
    base.EXTERNAL_URL: "an http or https URL without user, password and fragment",
    access.PRINCIPAL: "a source and a name, such as corp:alice or key:ci",
    access.ACCOUNT: "namespace/name, or namespace/* for all ServiceAccounts of a namespace",
    tools.HEADER_NAME: "a header's name (letters, digits, '-', '_')",
    REPOSITORY: "an image name in small letters, without scheme, tag and digest",
    ENV_NAME: "a variable's name (letters, digits, '-', '_', '.', not beginning with a digit)",
    r"^/": "a path that begins with '/'",
    r"^/[^\x00]*$": "a path that begins with '/'",
    r"^(/[!-~]*)?$": "a path that begins with '/', without spaces",
    r"^[^\s]+$": "a text without spaces",
}
