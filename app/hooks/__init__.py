"""What a deployment asks before it goes on; one module a hook, each a Lambda handler of the same image."""
