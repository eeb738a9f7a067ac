#!/bin/sh
# `module.function` is a Lambda handler; anything else is a command of onnx-lambda, such as `serve`.
# AWS_EXECUTION_ENV is left alone: naming a managed runtime there would make awslambdaric start a thread for each
# invocation, so that Python's SIGTERM handlers run while it waits, and nothing here relies on those.
set -eu
case "${1:-}" in
*.*)
	if [ -n "${AWS_LAMBDA_RUNTIME_API:-}" ]; then
		exec python3 -m awslambdaric "$1"
	fi
	# outside Lambda, under AWS's emulator if it is mounted: https://github.com/aws/aws-lambda-runtime-interface-emulator
	for emulator in /usr/local/bin/aws-lambda-rie /aws-lambda/aws-lambda-rie; do
		if [ -x "$emulator" ]; then
			exec "$emulator" /entrypoint.sh "$1"
		fi
	done
	echo "This is a Lambda function's image, and there is no Lambda here." >&2
	echo "Serve HTTP on port 8080:                     docker run -p 8080:8080 IMAGE serve" >&2
	echo "Answer Lambda events with AWS's emulator:    docker run -p 9000:8080 -v PATH/aws-lambda-rie:/usr/local/bin/aws-lambda-rie IMAGE" >&2
	exit 64
	;;
*)
	exec python3 -m app "$@"
	;;
esac
