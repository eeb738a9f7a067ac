"""The limits of AWS that a request or a delivery meets."""

# 6 MB each way, with room for the envelope: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
PAYLOAD_BYTES = 6 * 1024 * 1024 + 100
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
API_BODY_BYTES = 10 * 1024 * 1024
API_HEADER_BYTES = 10_240
API_PATIENCE_S = 30.0
